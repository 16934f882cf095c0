"""Curves from elsewhere as a sweep's folder that all that reads a sweep can read: made whole, or not at all."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.tree import Tree, leaves, set_path
from tune_at.config.trial import ELSEWHERE, NAMED_SECTIONS
from tune_at.errors import UserError, joined
from tune_at.exchange.asked import METRICS, OWN, Asked, config_of
from tune_at.exchange.curves import Curves, to_curves
from tune_at.exchange.ended import statuses_of
from tune_at.exchange.rows import is_missing
from tune_at.exchange.source import read_source
from tune_at.store.fold import folded_file
from tune_at.store.layout import SweepFolder
from tune_at.store.place import LocalPlace, to_place
from tune_at.store.status import Status
from tune_at.study.curves import ImportedCurves
from tune_at.study.overrides import KNOWN, check_path
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.study.trials import alike, mixed_columns, swept_value

STUDY = "imported"
"""What the study of such a sweep is called: no study of ours, so no finding of the paper's is looked for."""

LONGEST = 90
"""Characters of a trial's name."""

FAILED = "failed where it was trained; no more is known"
"""What stands for the error of a trial of which none is known."""

TOLD = "told"
"""Among what is known of a trial: the values of keys of ours, by dotted path."""

FIGURES = {
    "overfitting_curves": ("train_robust_accuracy", "train_natural_accuracy"),
    "test_curves": ("test_robust_accuracy", "test_natural_accuracy"),
}
"""Figures that the report draws of curves, and columns of which each is drawn for one at least."""


class Imported(NamedTuple):
    """What has been made."""

    sweep: Sweep
    epochs: int
    """Rows of the table `epochs`."""
    curves: Curves
    notes: Sequence[str]


def import_curves(
    source: str, into: str, asked: Asked, kind: str = "", title: str = "", arguments: Sequence[str] = ()
) -> Imported:
    """Make `into` a sweep of the curves of a file or a folder. Nothing is written before all has been found good.

    Args:
        source: its path.
        into: the sweep's folder, DIR/NAME, or its address.
        asked: what the user says of the columns and their units.
        kind: see `read_source`.
        title: the sweep's.
        arguments: the options, as they are to be recorded.

    Raises:
        UserError: see `read_source` and `to_curves`; `into` is there already.
    """
    place = to_place(into)
    if not place.name:
        raise UserError("--into", f"{into!r} names no folder", "write --into runs/NAME")
    if SweepFolder.of(place).exists():
        raise UserError(f"--into {into}", "exists", "name another folder: an import begins a sweep, and adds to none")
    for path in asked.known:
        check_path(f"--set {path}", path)
    if "train.selection" in asked.known:
        raise UserError("--set train.selection", "is told by --selection", "write --selection validation or test")
    curves = to_curves(read_source(source, kind), asked, source)
    statuses = statuses_of(curves, asked)
    names = _names(list(statuses))
    trials, swept = _trial_rows(curves, asked, statuses, names, place.name)
    epochs = curves.epochs.assign(trial=curves.epochs["trial"].map(names))
    seeds, notes = _seeds(trials, swept)
    record = ImportedCurves(
        source, len(trials), curves.selection, list(arguments),
        {theirs: ours for ours, theirs in curves.roles.known.items() if ours != theirs},
        {ours: theirs for theirs, ours in names.items() if ours != theirs},
    )  # fmt: skip
    base: Tree = {}
    for path, value in asked.known.items():
        set_path(base, path, value, NAMED_SECTIONS)
    study = Study(
        STUDY, title or f"Curves of {source}", "", "", {}, base, {}, seeds,
        [name for name, wanted in FIGURES.items() if any(column in epochs for column in wanted)], curves=record,
    )  # fmt: skip
    try:
        sweep = Sweep.plan(study, str(place.parent), place.name)
    except UserError as error:
        raise UserError(f"--into {into}", error.problem, "name another folder") from None
    tables = {"trials": pd.DataFrame(trials), "epochs": epochs}
    files = dict(folded_file(table, frame) for table, frame in tables.items())
    for theirs, status in statuses.items():
        if status is Status.FAILED:
            log = SweepFolder(LocalPlace(".")).log(names[theirs])
            files[str(log)] = curves.rows.errors.get(theirs, FAILED).encode()
    sweep.create(files)
    return Imported(sweep, len(epochs), curves, [*curves.notes, *notes])


def _trial_rows(
    curves: Curves, asked: Asked, statuses: Mapping[str, Status], names: Mapping[str, str], sweep: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the table `trials`, and the columns of it that tell trials apart."""
    known = _configs(curves, asked, list(statuses))
    split, epochs = SELECTION_SPLITS[curves.selection], curves.epochs
    last = epochs.groupby("trial")["epoch"].max()
    every = _every(epochs, split)
    best = _best_epochs(epochs[~curves.lost], split)
    swept = [path for path in _paths(curves) if len({json.dumps(row[path]) for row in known.values()}) > 1]
    rows = []
    for trial, status in statuses.items():
        config = _record(known[trial], curves.selection, every)
        rows.append(
            {
                "sweep": sweep, "study": STUDY, "stage": "main", "trial": names[trial],
                "seed": known[trial]["seed"] or 0, "status": str(status), "epochs": int(last[trial]),
                "best_epoch": best.get(trial), "error": _cause(curves, trial, status),
                "selection": curves.selection, "config": config,
                "config_hash": hashlib.sha256(config.encode()).hexdigest()[:16],
                **{path: known[trial][path] for path in swept},
            }
        )  # fmt: skip
    mixed = mixed_columns([{path: row[path] for path in swept} for row in rows])
    rows = alike(rows, mixed)
    return rows, swept


def _cause(curves: Curves, trial: str, status: Status) -> str | None:
    """Why a trial has failed, in one line: the last one of what it has left."""
    if status is not Status.FAILED:
        return None
    return (curves.rows.errors.get(trial, "").strip().splitlines() or [FAILED])[-1]


def _paths(curves: Curves) -> list[str]:
    return list(curves.roles.config)


def _configs(curves: Curves, asked: Asked, trials: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is known of each trial: its seed, and the values of its config's columns. Raises for what varies in one."""
    rows, named = curves.rows, curves.roles.named
    theirs = {**curves.roles.config, **({"seed": named["seed"]} if "seed" in named else {})}
    places = pd.Series(curves.first).groupby(curves.epochs["trial"].to_numpy()).apply(list)
    known: dict[str, dict[str, Any]] = {}
    bad = []
    for trial in trials:
        values: dict[str, Any] = {"seed": None}
        for path, column in theirs.items():
            cells = rows.frame[column].to_numpy(dtype=object)[places[trial]]
            found: dict[str, int] = {}
            for row, cell in zip(places[trial], cells, strict=True):
                if not is_missing(cell):
                    found.setdefault(repr(cell), row)
            if len(found) > 1:
                (one, at), (other, there) = list(found.items())[:2]
                problem = f"{column} is {other}, and {one} at {rows.where(at)}: one trial has one value"
                bad.append(UserError(rows.where(there), problem, "leave it out of --config-columns and --map"))
            cell = rows.frame[column].iloc[next(iter(found.values()))] if found else None
            values[path] = _value(cell, path)
        values["seed"] = None if values["seed"] is None else int(float(values["seed"]))
        told: Tree = {}
        for path, value in {**asked.known, **values}.items():
            if path in KNOWN and value is not None:
                set_path(told, path, value, NAMED_SECTIONS)
        if told:
            config = config_of(told, rows.where(places[trial][0]))
            values |= {path: swept_value(config, path) for path in theirs if path in KNOWN}
            values[TOLD] = {path: swept_value(config, path) for path, _ in leaves(told)}
        known[trial] = values
    if bad:
        raise joined(bad, rows.files[0])
    return known


def _value(cell: Any, path: str) -> Any:
    """A cell of a config's column: a text that is a number is one, as in YAML."""
    if not isinstance(cell, str):
        return cell
    from tune_at.study.yaml_text import load_value

    value = load_value(cell, path) if path in KNOWN or re.fullmatch(r"[-+0-9.eE]+", cell) else cell
    return value if isinstance(value, str | int | float | list | dict) else cell


def _every(epochs: pd.DataFrame, split: str) -> int:
    """Epochs between evaluations, where all trials have them regularly, the last one not counted; else 1."""
    columns = [name for name in epochs if str(name).startswith(f"{split}_") and name in METRICS]
    measured = epochs[epochs[columns].notna().any(axis=1)].groupby("trial")["epoch"].apply(list)
    return max(1, math.gcd(*(epoch for own in measured for epoch in (own[:-1] or own))))


def _record(values: Mapping[str, Any], selection: str, every: int) -> str:
    """A config as far as it is known, as JSON: keys of ours in their sections, all others under `config`."""
    own = {path.removeprefix(OWN): value for path, value in values.items() if path.startswith(OWN)}
    tree: Tree = {ELSEWHERE: own}
    for path, value in values.get(TOLD, {}).items():
        set_path(tree, path, value, NAMED_SECTIONS)
    tree.setdefault("train", {})["selection"] = selection
    if every > 1:
        tree.setdefault("evaluation", {})["every"] = every
    return json.dumps(tree, sort_keys=True)


def _best_epochs(epochs: pd.DataFrame, split: str) -> dict[str, int]:
    """As `best_record` has it: the highest robust accuracy, ties by natural accuracy, then the earlier epoch."""
    robust, natural = (f"{split}_{kind}_accuracy" for kind in ("robust", "natural"))
    if robust not in epochs:
        return {}
    measured = epochs[np.isfinite(epochs[robust])].assign(tie=epochs.get(natural, 0.0))
    order = measured.sort_values([robust, "tie", "epoch"], ascending=[False, False, True], kind="stable")
    return {str(t): int(e) for t, e in order.drop_duplicates("trial")[["trial", "epoch"]].itertuples(index=False)}


def _names(trials: Sequence[str]) -> dict[str, str]:
    """A name for each trial that a file can have: its own where it can."""
    names: dict[str, str] = {}
    for trial in trials:
        name = re.sub(r"[^A-Za-z0-9_.,=+@-]+", "_", trial)
        if name != trial or len(name) > LONGEST or not name[0].isalnum():
            digest = hashlib.sha256(trial.encode()).hexdigest()[:6]
            name = f"{name[:LONGEST].strip('_.-') or 'trial'}-{digest}"
        names[trial] = name
    return names


def _seeds(rows: Sequence[Mapping[str, Any]], swept: Sequence[str]) -> tuple[list[int], list[str]]:
    """The seeds that each point has, and what is to be said of them.

    Where trials of one seed differ in nothing but their names, seeds make no points: each trial is one by itself.
    """
    seen: dict[str, str] = {}
    for row in rows:
        key = json.dumps([row["seed"], *(row[path] for path in swept)])
        other = seen.setdefault(key, row["trial"])
        if other != row["trial"]:
            same = f"{other} and {row['trial']} have the same seed, {row['seed']}"
            advice = "no means over seeds, unless --config-columns names what tells trials apart"
            several = len({row["seed"] for row in rows}) > 1
            return [int(rows[0]["seed"])], [f"{same}, and nothing else tells them apart: {advice}"] * several
    return sorted({int(row["seed"]) for row in rows}), []
