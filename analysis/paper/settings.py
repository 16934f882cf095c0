"""How the paper trained what stands in its tables, so that ours is put beside it only where it is the same."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.paper.rows import Arguments
from tune_at.study.comparison import plain

_CIFAR = {
    "data.crop": 4, "data.flip": True, "optim.lr": 0.1, "optim.schedule.name": "piecewise",
    "optim.schedule.milestones": ([0.5, 0.75], [100, 150]), "optim.schedule.factor": 0.1, "train.epochs": 200,
}  # fmt: skip

_SVHN = {
    "data.crop": 0, "data.flip": False, "optim.lr": 0.01, "optim.schedule.name": "cosine", "train.epochs": 80,
}  # fmt: skip

_EVERYWHERE = {
    "data.subset": "all", "data.validation": 0, "attack.steps": 10, "optim.name": "sgd", "optim.momentum": 0.9,
    "optim.nesterov": False, "train.batch_size": 128, "train.selection": "test",
}  # fmt: skip

_OVERFITTING = {
    **_EVERYWHERE, "data.noise_rate": 0, "model.name": "resnet18", "model.mean": [], "attack.norm": "linf",
    "attack.eps": 8 / 255, "attack.step": 2 / 255, "optim.weight_decay": 5e-4,
}  # fmt: skip

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "1a": {**_OVERFITTING, **_CIFAR, "data.name": "cifar10"},
    "1b": {**_OVERFITTING, **_CIFAR, "data.name": "cifar100"},
    "1c": {**_OVERFITTING, **_SVHN, "data.name": "svhn"},
    "2": {**_OVERFITTING, **_CIFAR, "data.name": "cifar10"},
    "A.1": {
        **_EVERYWHERE, "data.name": "cifar10", "data.noise_rate": (0, 1), "model.name": "wrn-28-10",
        "attack.norm": "linf", "attack.eps": 8 / 255, "attack.step": 2 / 255, "objective.name": "trades",
        "objective.beta": 6, "optim.lr": 0.1, "optim.schedule.name": "step", "optim.schedule.every": 100,
        "optim.schedule.factor": 0.1, "train.epochs": 300,
    },
    "C.1 linf": {**_OVERFITTING, **_CIFAR, "data.name": "cifar10", "model.name": ("wrn-34-10", "vgg16")},
    # The step is not in the paper: any is compared.
    "C.1 l2": {
        **{key: value for key, value in _OVERFITTING.items() if key != "attack.step"}, **_CIFAR,
        "data.name": "cifar10", "attack.norm": "l2", "attack.eps": 128 / 255,
    },
}  # fmt: skip
"""Config leaves by table (Sec. 3.1 and 5, App. A.1.3 and C.2); a tuple lists values of which any is the paper's."""


FIRST = ("data.name", "model.name", "objective.name", "attack.norm", "attack.eps", "data.subset", "train.epochs")
"""What is named before others."""


def departures(table: str, config: Mapping[str, Any], arguments: Arguments = ()) -> list[str]:
    """In what a trial is not trained as the paper's, one `key is VALUE, in the paper VALUE` each.

    Args:
        table: a key of `SETTINGS`, or `C.1`, where the trial's norm decides.
        config: the trial's config as leaves by dotted path.
        arguments: of the objective, as the paper fixes them.
    """
    if table == "C.1":
        table = f"C.1 {config.get('attack.norm')}" if config.get("attack.norm") == "l2" else "C.1 linf"
    wanted = {**SETTINGS[table], **{f"objective.{key}": value for key, value in arguments}}
    return [
        f"{key} is {_shown(config.get(key))}, in the paper {' or '.join(map(_shown, accepted))}"
        for key, value in sorted(
            wanted.items(), key=lambda item: FIRST.index(item[0]) if item[0] in FIRST else len(FIRST)
        )
        if not _is_one_of(config.get(key), accepted := value if isinstance(value, tuple) else (value,))
    ]


def _place(key: str) -> int:
    return FIRST.index(key) if key in FIRST else len(FIRST)


def _is_one_of(value: Any, accepted: Iterable[Any]) -> bool:
    return any(_same(value, other) for other in accepted)


def _same(value: Any, other: Any) -> bool:
    if isinstance(other, list):
        listed = list(value) if isinstance(value, list | tuple) else None
        return listed is not None and len(listed) == len(other) and all(map(_same, listed, other))
    if isinstance(other, int | float) and isinstance(value, int | float):
        return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(value == other)


def _shown(value: Any) -> str:
    return "absent" if value is None or value != value else plain(value)
