"""What tables call data sets, networks, attacks and balls: the paper's names."""

import re

from analysis.paper.rows import NATURAL
from tune_at.config.data import DATASETS
from tune_at.config.model import MODELS
from tune_at.registry import Registry
from tune_at.study.comparison import plain

HEADINGS = {
    NATURAL: "Natural accuracy", "training": "Training accuracy", "test": "Test accuracy", "gap": "Generalization gap",
}  # fmt: skip


def column_label(column: str) -> str:
    """`Natural accuracy`, `PGD-10`, `C&W-1000 eps=4/255`; an attack of another name is itself."""
    if column in HEADINGS:
        return HEADINGS[column]
    name, space, settings = column.partition(" ")
    shown = name.upper() if re.fullmatch(r"pgd-\d+|fgsm", name) else re.sub(r"^cw-(\d+)$", r"C&W-\1", name)
    return {"autoattack": "AutoAttack"}.get(name, shown) + space + settings


def data_label(name: str) -> str:
    """`CIFAR-10`."""
    return _registered(DATASETS, name)


def network_label(name: str) -> str:
    """`ResNet-18`, `WRN-34-10`."""
    return name.upper() if name.startswith("wrn-") else _registered(MODELS, name)


def ball_label(norm: str, eps: float) -> str:
    """`l-inf (eps 8/255)`."""
    return f"{'l-inf' if norm == 'linf' else norm} (eps {plain(eps)})"


def _registered(registry: Registry, name: str) -> str:
    return (registry[name].label or name) if name in registry else name
