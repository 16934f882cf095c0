"""Which of a study's trials a search and a scheduler compare: such as are measured on the same."""

import json
from collections.abc import Collection, Sequence

from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig
from tune_at.errors import UserError
from tune_at.study.comparison import compare, measured_on
from tune_at.study.trials import Trial

Group = tuple[tuple[str, object], ...]


def group_of(config: TrialConfig, metric: str) -> Group:
    """What a trial's metric is measured on: equal for two trials if they are compared."""
    return measured_on(dict(leaves(json.loads(_measured_json(config)))), metric)


def groups_of(trials: Sequence[Trial], metric: str) -> list[list[int]]:
    """The places of trials that are compared by a metric, a list a group, in the order of first appearance."""
    written: dict[str, Group] = {}  # many trials, few groups: each is read once
    groups: dict[Group, list[int]] = {}
    for place, trial in enumerate(trials):
        text = _measured_json(trial.config)
        if text not in written:
            written[text] = group_of(trial.config, metric)
        groups.setdefault(written[text], []).append(place)
    return list(groups.values())


def telling_keys(trials: Sequence[Trial], metric: str) -> tuple[str, ...]:
    """The keys that tell the groups of trials apart; none if all are compared."""
    return compare([dict(leaves(json.loads(_measured_json(trial.config)))) for trial in trials], metric).keys


def require_one_group(metric: str, space: Collection[str], trials: Sequence[Trial], where: str) -> None:
    """Raise `UserError` if a scheduler of brackets would judge what cannot be compared.

    It fills its brackets by places in the sweep, which a search whose points depend on results has yet to draw.

    Args:
        metric: what the scheduler judges by.
        space: the dotted paths that the search draws.
        trials: such as vouch for all.
        where: the study.
    """
    if keys := telling_keys(trials, metric):
        drawn = [path for path in space if any(_sets(path, key) for key in keys)]
        raise UserError(
            f"{where}: search.space.{drawn[0] if drawn else keys[0]}",
            f"{metric} is measured on {' and '.join(keys)}: brackets would hold what cannot be compared",
            f"run a sweep for each value, without it in the space ({_null(drawn or keys)}), or set scheduler=asha",
        )


def _measured_json(config: TrialConfig) -> str:
    """The sections of a config that a metric may be measured on."""
    return config.model_dump_json(include={"data": True, "attack": True, "evaluation": True, "train": {"selection"}})


def _sets(path: str, key: str) -> bool:
    """Whether drawing a path may set a key."""
    return key == path or key.startswith(path.removesuffix("name").removesuffix(".") + ".")


def _null(paths: Sequence[str]) -> str:
    return " ".join(f"--set search.space.{path}=null" for path in paths)
