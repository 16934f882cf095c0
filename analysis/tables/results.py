"""Tables 1, 2 and C.1: accuracies of the best and the final network under each attack."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames import Frames, add_series, series_label
from analysis.paper import VALUES, PaperValue
from analysis.paper.rows import ATTACKS, NATURAL
from analysis.paper.settings import departures
from analysis.tables.cells import COLUMNS, Column, cells, records
from analysis.tables.labels import ball_label, data_label, network_label
from analysis.tables.measured import BEST, DIFF, FINAL, accuracies
from tune_at.errors import UserError
from tune_at.study.comparison import compare, plain

PARTS = (BEST, FINAL, DIFF)

DATA_OF = {"1a": "cifar10", "1b": "cifar100", "1c": "svhn"}


@dataclass(frozen=True)
class ResultsLayout:
    """A table of the paper with a row a method.

    Attributes:
        table: its name.
        attacks: its columns, natural accuracy first.
        paper: the names of the paper's tables whose numbers stand beside ours; a later one only where the earlier
            have no such row.
        networks: whether rows are told apart by network and ball, too.
    """

    table: str
    attacks: tuple[str, ...]
    paper: tuple[str, ...]
    networks: bool = False

    @property
    def stub(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return ("method", "network", "ball") if self.networks else ("method",)

    def __call__(self, frames: Frames, data: str = "", split: str = "test", images: int | None = None) -> pd.DataFrame:
        """The table's numbers, tidy: see `analysis.tables.prepare_table`; `data`: of one data set alone."""
        trials = frames.told[frames.told["data.name"] == data] if data else frames.told
        if trials.empty:
            remedy = f"--table {self.table} has the sweep's own data sets"
            raise UserError(f"table {self.table}", f"no trial is on {data_label(data)}", remedy)
        found = accuracies(frames, split, images)
        ours = set(trials["trial"])
        if not any(not isinstance(value, str) for (trial, *_), value in found.items() if trial in ours):
            problem = f"no trial has been evaluated on {split} images"
            raise UserError(f"table {self.table}", problem, "let the sweep finish, then call `evaluate` on it")
        others = {column for trial, column, _ in found if trial in ours} - set(self.attacks)
        names = [*self.attacks, *(name for name in ATTACKS if name in others), *sorted(others - set(ATTACKS))]
        columns = [Column(name, PARTS, (DIFF, BEST, FINAL)) for name in names]
        rows: list[dict[str, Any]] = []
        for common, panel in self._panels(trials):
            title = common + ("" if split == "test" else f", {split} images")
            for members in self._rows(panel, frames.drawn):
                first = members[0]
                stub = {"table": self.table, "panel": title, "method": series_label(str(first["series"]))}
                if self.networks:
                    stub["network"] = network_label(str(first["model.name"]))
                    stub["ball"] = _ball(panel, first)
                theirs = self._of_paper(first)
                paper, unlike = _numbers(theirs), _unlike(self.paper, theirs, first)
                for column in columns:
                    made = cells(column, members, frames.seeds, found, paper, unlike)
                    rows += [{**stub, **cell} for cell in made]
        return pd.DataFrame(rows, columns=["table", "panel", *self.stub, *COLUMNS])

    def _panels(self, trials: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
        """Trials that may stand in one table, each with what they have in common."""
        hidden = ("attack.",) if self.networks else ()
        configs = [
            {k: v for k, v in row.items() if not k.startswith(hidden)} if hidden else row for row in records(trials)
        ]
        compared = compare(configs)
        panels = []
        for number in range(compared.count):
            panel = trials[[group == number for group in compared.groups]]
            shown = [data_label(str(panel["data.name"].iloc[0]))]
            if not self.networks:
                balls = {ball_label(str(row["attack.norm"]), float(row["attack.eps"])) for row in records(panel)}
                shown += [", ".join(sorted(balls)), *(network_label(n) for n in _only(panel, "model.name"))]
            named = ("data.name", "attack.norm", "attack.eps")
            told = zip(compared.keys, compared.values[number], strict=True)
            shown += [f"{key} {value}" for key, value in told if key not in named and value is not None]
            panels.append((", ".join(shown), panel))
        return panels

    def _rows(self, panel: pd.DataFrame, drawn: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The trials of each row, in the paper's order, then in the sweep's."""
        told = ["model.name", "attack.norm", "attack.eps", "attack.step"] if self.networks else []
        series = add_series(panel, told, drawn)
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in records(series):
            groups.setdefault((row["series"], *(row[key] for key in told)), []).append(row)
        return sorted(groups.values(), key=lambda members: self._place(members[0]))

    def _place(self, trial: Mapping[str, Any]) -> float:
        order = [(v.architecture, v.norm, v.method) for name in self.paper for v in VALUES if v.table == name]
        wanted = (trial["model.name"], trial["attack.norm"], trial["objective.name"])
        exact = order.index(wanted) if wanted in order else math.inf
        methods = [method for *_, method in order]
        return min(exact, methods.index(wanted[2]) if wanted[2] in methods and not self.networks else math.inf)

    def _of_paper(self, trial: Mapping[str, Any]) -> list[PaperValue]:
        """The paper's row of a trial's method, network and ball, whatever else of its training; often none."""
        for table in self.paper:
            if DATA_OF.get(table, trial["data.name"]) == trial["data.name"]:
                same = [
                    v for v in VALUES
                    if (v.table, v.method) == (table, trial["objective.name"])
                    and (not self.networks or (v.architecture, v.norm) == (trial["model.name"], trial["attack.norm"]))
                ]  # fmt: skip
                if same:
                    return same
        return []


def _numbers(values: Sequence[PaperValue]) -> dict[tuple[str, str], tuple[float, float | None]]:
    """A row of the paper by (column, part); of a diff also the printed one where it is not best - final."""
    found: dict[tuple[str, str], tuple[float, float | None]]
    found = {(value.attack, value.checkpoint): (value.value, None) for value in values}
    for value in values:
        diff = round(found[value.attack, BEST][0] - found[value.attack, FINAL][0], 2)
        found[value.attack, DIFF] = diff, (value.diff if value.diff != diff else None)
    return found


def _unlike(tables: Sequence[str], values: Sequence[PaperValue], trial: Mapping[str, Any]) -> str:
    """In what a trial is not trained as the paper's row; or that the tables have no such row, and for want of what."""
    if values:
        table = "2" if values[0].table == "footnote 2" else values[0].table
        return "; ".join(departures(table, trial, values[0].arguments))
    rows = [value for value in VALUES if value.table in tables]
    known = {"data.name": [value.data for value in rows], "model.name": [value.architecture for value in rows]}
    odd = {key: dict.fromkeys(names) for key, names in known.items() if trial[key] not in names}
    told = [f"{key} is {trial[key]}, in the paper {' or '.join(names)}" for key, names in odd.items()]
    return "; ".join(told) or "the paper has no such row"


def _ball(panel: pd.DataFrame, trial: Mapping[str, Any]) -> str:
    """The ball of a row, with the step where the same ball has several."""
    norm, eps = trial["attack.norm"], trial["attack.eps"]
    steps = panel.loc[(panel["attack.norm"] == norm) & (panel["attack.eps"] == eps), "attack.step"].nunique()
    return ball_label(str(norm), float(eps)) + (f", step {plain(trial['attack.step'])}" if steps > 1 else "")


def _only(panel: pd.DataFrame, key: str) -> list[str]:
    """The value of a key, if all have the same."""
    values = list(dict.fromkeys(panel[key].astype(str)))
    return values if len(values) == 1 else []


TABLE_1 = ResultsLayout("1", ATTACKS, ("1a", "1b", "1c"))
TABLE_2 = ResultsLayout("2", ATTACKS, ("2", "footnote 2"))
TABLE_C1 = ResultsLayout("C.1", (NATURAL, "pgd-10"), ("C.1",), networks=True)
