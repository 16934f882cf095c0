"""Table A.1: training and test accuracy and their gap, by regularisers and labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.frames import Frames, add_series, series_label
from analysis.paper import REGULARISERS, paper_regulariser
from analysis.paper.settings import departures
from analysis.tables.cells import COLUMNS, NOTHING, Column, Measured, cells, records
from analysis.tables.labels import ball_label, data_label, network_label
from tune_at.errors import UserError
from tune_at.study.comparison import compare, plain

KINDS = ("natural", "robust")

STUB = ("labels", "method", "augmentation", "weight decay", "dropout")

TOLD = ("data.noise_rate", "data.crop", "data.flip", "optim.weight_decay", "model.dropout")
"""The keys that rows are told apart by, beside the objective."""


def prepare_regularisers(frames: Frames, **others: object) -> pd.DataFrame:
    """Table A.1's numbers, tidy: see `analysis.tables.prepare_table`. At the last epoch of completed trials.

    `others`: what other tables are told, and this one has no use for.

    Raises:
        UserError: no trial has both training and test accuracies.
    """
    found = dict(_accuracies(frames))
    if not found:
        problem = "no trial has training and test accuracies at its last epoch"
        raise UserError("table A.1", problem, "let the sweep finish; evaluation.train_samples must not be 0")
    trials = frames.told
    compared = compare([{k: v for k, v in row.items() if k != "data.noise_rate"} for row in records(trials)])
    columns = [Column(name, KINDS) for name in ("training", "test", "gap")]
    rows = []
    for number in range(compared.count):
        panel = trials[[group == number for group in compared.groups]]
        for members in _rows(panel, frames.drawn):
            first = members[0]
            names = {"table": "A.1", "panel": _title(panel), **_names(first)}
            paper = _of_paper(first)
            unlike = "; ".join(departures("A.1", first)) if paper else "the paper has no such row"
            for column in columns:
                made = cells(column, members, frames.seeds, found, paper, unlike, "not measured at its last epoch")
                rows += [{**names, **cell} for cell in made]
    return pd.DataFrame(rows, columns=["table", "panel", *STUB, *COLUMNS])


def _accuracies(frames: Frames) -> Iterator[tuple[tuple[str, str, str], Measured]]:
    epochs = frames.epochs
    for row in records(epochs[epochs["epoch"] == epochs["train.epochs"]]):
        for kind in KINDS:
            train, test = (row.get(f"{split}_{kind}_accuracy") for split in ("train", "test"))
            if pd.notna(train) and pd.notna(test):
                values = {"training": train, "test": test, "gap": train - test}
                for column, value in values.items():
                    yield (str(row["trial"]), column, kind), Measured(100 * float(value))


def _rows(panel: pd.DataFrame, drawn: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The trials of each row, in the paper's order, then in the sweep's."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    told = [key for key in TOLD if key in panel]
    for row in records(add_series(panel, told, drawn)):
        groups.setdefault((row["series"], *(plain(row[key]) for key in told)), []).append(row)
    return sorted(groups.values(), key=lambda members: _place(members[0]))


def _given(trial: Mapping[str, Any]) -> tuple[float, bool | None, float, float]:
    """Noise rate, augmentation, weight decay, dropout; augmentation is None where it is a crop or a flip alone."""
    crop, flip = bool(_number(trial, "data.crop")), trial.get("data.flip") is True
    augmented = crop if crop == flip else None
    return (
        _number(trial, "data.noise_rate"), augmented, _number(trial, "optim.weight_decay"),
        _number(trial, "model.dropout"),
    )  # fmt: skip


def _names(trial: Mapping[str, Any]) -> dict[str, str]:
    rate, _, decay, dropout = _given(trial)
    crop = _number(trial, "data.crop")
    augmentation = [f"crop {crop:g}"] * bool(crop) + ["flip"] * (trial.get("data.flip") is True)
    return {
        "labels": {0.0: "true", 1.0: "random"}.get(rate, f"{100 * rate:g}% random"),
        "method": series_label(str(trial["series"])),
        "augmentation": ", ".join(augmentation) or NOTHING,
        "weight decay": plain(decay) if decay else NOTHING,
        "dropout": plain(dropout) if dropout else NOTHING,
    }


def _place(trial: Mapping[str, Any]) -> int:
    order = [(row.noise_rate, row.augmentation, row.weight_decay, row.dropout) for row in REGULARISERS]
    given = _given(trial)
    return order.index(given) if given in order and trial["objective.name"] == "trades" else len(order)


def _of_paper(trial: Mapping[str, Any]) -> dict[tuple[str, str], tuple[float, float | None]]:
    """The paper's row by (column, kind); of a gap also the printed one where it is not training - test."""
    found: dict[tuple[str, str], tuple[float, float | None]] = {}
    rate, augmented, decay, dropout = _given(trial)
    if trial["objective.name"] != "trades" or augmented is None:
        return found
    for kind in KINDS:
        row = paper_regulariser(rate, augmented, decay, dropout, "natural" if kind == "natural" else "robust")
        if row is not None:
            gap = round(row.training - row.test, 2)
            found["training", kind], found["test", kind] = (row.training, None), (row.test, None)
            found["gap", kind] = gap, (row.gap if row.gap != gap else None)
    return found


def _title(panel: pd.DataFrame) -> str:
    networks = dict.fromkeys(network_label(str(name)) for name in panel["model.name"])
    balls = dict.fromkeys(ball_label(str(row["attack.norm"]), float(row["attack.eps"])) for row in records(panel))
    methods = dict.fromkeys(series_label(series) for series in add_series(panel, TOLD)["series"])
    return ", ".join([data_label(str(panel["data.name"].iloc[0])), *balls, *networks, *methods])


def _number(trial: Mapping[str, Any], key: str) -> float:
    value = trial.get(key)
    return 0.0 if value is None or value != value else float(value)
