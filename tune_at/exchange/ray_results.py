"""A folder of Ray Tune's results: `result.json` and `params.json` in a folder a trial."""

import json
from pathlib import Path

import pandas as pd

from tune_at.errors import UserError
from tune_at.exchange.rows import CONFIG, Rows
from tune_at.exchange.tables import flat, read_json_lines

RESULT, PARAMS, ERROR = "result.json", "params.json", "error.txt"


def find_results(folder: Path) -> list[Path]:
    """The folders of trials in a folder of an experiment, or of several; sorted."""
    return sorted(path.parent for path in folder.rglob(RESULT))


def read_ray(folder: Path, name: str) -> Rows:
    """The rows of all trials. Raises `UserError` for a line that is not JSON, and where there is no trial.

    A trial is called by Ray's `trial_id`, and its epoch is `training_iteration`, which begins at 1. After a restart
    from a checkpoint Ray writes iterations again: the last one counts.
    """
    parts, trials, errors = [], [], {}
    for trial in find_results(folder):
        where = str(trial.relative_to(folder.parent) / RESULT)
        part = read_json_lines(trial / RESULT, where)
        if part.frame.empty:
            continue  # started, and nothing reported
        frame = part.frame
        params = _params(trial / PARAMS, str(trial.relative_to(folder.parent) / PARAMS))
        for key, value in params.items():
            frame[f"{CONFIG}{key}"] = pd.Series([value] * len(frame), dtype=object)
        own = frame["trial_id"].iloc[0] if "trial_id" in frame else trial.name
        trials.append(str(own))
        if (trial / ERROR).is_file() and not ("done" in frame and frame["done"].iloc[-1] is True):
            errors[trials[-1]] = (trial / ERROR).read_text(encoding="utf-8", errors="replace")
        parts.append(part)
    if not parts:
        raise UserError(name, "has no result.json with a result in it", "name the folder of a Ray Tune experiment")
    for place, own in enumerate(trials):
        if trials.count(own) > 1:  # several experiments in one folder
            raise UserError(name, f"has two trials {own}", f"import {parts[place].files[0]} and the like apart")
    return Rows.concatenated(
        parts, trials=tuple(trials), statuses=dict.fromkeys(errors, "failed"), errors=errors, epochs_from=1,
        repeats=True, roles={"training_iteration": "epoch"},
    )  # fmt: skip


def _params(path: Path, name: str) -> dict[str, object]:
    try:
        params = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(name, f"cannot be read: {error}", "restore it, or take it away") from None
    return flat(params) if isinstance(params, dict) else {}
