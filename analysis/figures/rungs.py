"""What a rung tells of the end: epochs of one long run, or complete runs of their own length."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.figures.base import Figure, alone
from analysis.frames import Frames
from analysis.rank_correlation import Numbers, kendall
from analysis.style import DARK, LIGHT, legend_below, panels, styled
from tune_at.config.rungs import run_lengths
from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.tree import Tree, set_path
from tune_at.config.trial import NAMED_SECTIONS, TrialConfig
from tune_at.errors import UserError
from tune_at.scheduling.complete_runs import Recorded
from tune_at.seeding import derive_seed
from tune_at.store.status import Status
from tune_at.study.comparison import compare
from tune_at.study.ladder import LENGTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

ORDERS = 200
"""Orders in which the points might have started."""
FIDELITIES = {"epochs": "rungs inside one long run", "schedule": "complete runs"}
"""Of `scheduler.fidelity`, in words."""


def prepare_rungs(frames: Frames) -> pd.DataFrame:
    """How rungs rank points against the end of the longest run, and what ASHA picks by them.

    For a sweep with an axis `train.epochs` without early stopping. The score is robust accuracy on the selection split;
    `best` is at the best epoch of the longest run, `final` after its last.

    Returns:
        One row a number: fidelity (`epochs` or `schedule`), quantity, rung (epochs), value, low, high, points. Of
        `tau_best` and `tau_final` value is Kendall's tau-b of the scores at the rung with those of the longest run, low
        and high the ends of a 95% bootstrap interval over points. Of `trained`, the share of the epochs of all longest
        runs, and of `regret_best` and `regret_final`, the highest score of all points less that of the one picked among
        those that ran the longest run to its end, value is the mean over random orders of the points, low and high
        are its percentiles 2.5 and 97.5.
    """
    lengths, curves, configs = _recorded(frames)
    eta = round(lengths[1] / lengths[0], 6)
    if run_lengths(lengths[0], eta, lengths[-1]) != lengths:
        listed = ", ".join(map(str, lengths))
        raise UserError("rungs", f"train.epochs {listed} are not grace * eta^k", "choose such, as 20, 60, 200")
    recorded = Recorded(lengths[0], eta, lengths, curves)
    longest = [runs[-1] for runs in curves]
    ends = {"best": np.array([max(c.values()) for c in longest]), "final": np.array([c[lengths[-1]] for c in longest])}
    rows: list[dict[str, Any]] = []
    for place, rung in enumerate(lengths[:-1]):
        inside = np.array([next(c[epoch] for epoch in sorted(c) if epoch >= rung) for c in longest])
        whole = np.array([runs[place][rung] for runs in curves])
        for fidelity, judged in (("epochs", inside), ("schedule", whole)):
            for name, end in ends.items():
                rows.append({"fidelity": fidelity, "quantity": f"tau_{name}", "rung": rung, **_tau(judged, end, rung)})
    shared = [[c.shared_epochs(longer) for c, longer in zip(lasting, lengths[1:], strict=False)] for lasting in configs]
    rows += _replayed(recorded, ends, shared)
    frame = pd.DataFrame(rows).assign(points=len(curves))
    return frame[["fidelity", "quantity", "rung", "value", "low", "high", "points"]]


def _recorded(frames: Frames) -> tuple[tuple[int, ...], list[list[dict[int, float]]], list[list[TrialConfig]]]:
    """The lengths, and of each point that was run at each of them the curves and the configs of its runs."""
    trials = frames.trials
    if LENGTH not in frames.swept or trials[LENGTH].nunique() < 2:
        remedy = "sweep an axis train.epochs: [20, 60, 200] without a scheduler, as the study early_stopping does"
        raise UserError("rungs", "no point has runs of several lengths", remedy)
    lengths = tuple(sorted(int(epochs) for epochs in trials[LENGTH].unique()))
    keys = [key for key in (*frames.swept, "seed") if key != LENGTH]
    split = SELECTION_SPLITS[trials["train.selection"].iloc[0]]
    column = f"{split}_robust_accuracy"
    known = frames.epochs[frames.epochs[column].notna()]
    curve = {name: dict(zip(rows["epoch"], rows[column], strict=True)) for name, rows in known.groupby("trial")}
    completed = trials[trials["status"] == Status.COMPLETED]
    whole = [
        rows.sort_values(LENGTH)
        for _, rows in completed.groupby(keys, sort=False, dropna=False)
        if len(rows) == len(lengths)
    ]
    if len(whole) < 3:
        raise UserError("rungs", f"{len(whole)} points have completed each of their runs", "wait, or resume the sweep")
    records: list[Any] = pd.concat(whole).to_dict("records")
    if (compared := compare(records)).count > 1:
        raise UserError(
            "rungs", f"points differ in {' and '.join(compared.keys)}, and do not compare", "fix it in base"
        )
    return lengths, [[curve[name] for name in rows["trial"]] for rows in whole], [_configs(rows) for rows in whole]


def _configs(rows: pd.DataFrame) -> list[TrialConfig]:
    """The configs of a point's runs, as far as what they share depends on them."""
    found = []
    for row in rows.to_dict("records"):
        tree: Tree = {}
        for path, value in ((str(key), value) for key, value in row.items()):
            # What a key's objective or schedule lacks is NaN.
            if path.startswith(("optim.", "objective.", "train.")) and value is not None and value == value:
                set_path(tree, path, value, NAMED_SECTIONS)
        found.append(TrialConfig.parse(tree, complete=False))
    return found


def _tau(judged: Numbers, end: Numbers, rung: int) -> dict[str, float]:
    """Kendall's tau-b, and the ends of its interval."""
    points = np.arange(len(end))
    tau = kendall(judged, end, np.zeros_like(points), points, derive_seed(0, "rungs", rung))
    return {"value": tau.value, "low": tau.low, "high": tau.high}


def _replayed(recorded: Recorded, ends: dict[str, Any], shared: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """What ASHA trains and picks with either fidelity, over random orders."""
    number, lengths = len(recorded.curves), recorded.lengths
    found: dict[tuple[str, str], list[float]] = {}
    for place in range(ORDERS):
        order = np.random.default_rng(derive_seed(0, "order", place)).permutation(number).tolist()
        stops, runs = recorded.inside_one_run(order), recorded.in_complete_runs(order)
        cost = sum(sum(lengths[:count]) - sum(shared[point][: count - 1]) for point, count in enumerate(runs))
        for fidelity, trained, there in (
            ("epochs", sum(stops), [end == lengths[-1] for end in stops]),
            ("schedule", cost, [count == len(lengths) for count in runs]),
        ):
            found.setdefault((fidelity, "trained"), []).append(trained / (number * lengths[-1]))
            for name, end in ends.items():
                regret = end.max() - end[np.array(there)].max()
                found.setdefault((fidelity, f"regret_{name}"), []).append(float(regret))
    rows = []
    for (fidelity, quantity), values in found.items():
        low, high = np.percentile(values, [2.5, 97.5])
        rows.append({"fidelity": fidelity, "quantity": quantity, "value": np.mean(values), "low": low, "high": high})
    return rows


@styled
def draw_rungs(frame: pd.DataFrame) -> "MatplotlibFigure":
    """Left, how a rung ranks points; right, what ASHA loses by it, against what it trains."""
    figure, (left, right) = panels(2, width=5.0, height=4.2, shared=False)
    for place, (fidelity, label) in enumerate(FIDELITIES.items()):
        rows = frame[frame["fidelity"] == fidelity]
        color = (LIGHT, DARK)[place]
        for shift, (name, style) in enumerate((("final", "-"), ("best", "--"))):
            taus = rows[rows["quantity"] == f"tau_{name}"].sort_values("rung")
            at = taus["rung"] * (1 + 0.04 * (2 * place + shift - 1.5))  # bars beside each other
            bars = np.abs(taus[["low", "high"]].to_numpy().T - taus["value"].to_numpy())
            left.errorbar(
                at, taus["value"], bars, color=color, linestyle=style, marker="os"[shift], markersize=5, capsize=2,
                label=f"{label}, against the {name} epoch",
            )  # fmt: skip
            _regret(right, rows, name, color, "os"[shift])
    rungs = sorted(frame["rung"].dropna().unique())
    left.axhline(0, color="0.45", linewidth=0.8)
    left.set_xscale("log")
    left.set_xticks(rungs, [str(int(rung)) for rung in rungs])
    left.set_xticks([], minor=True)
    left.set(
        title=f"ranks of {frame['points'].iloc[0]} points",
        xlabel="rung (epochs)",
        ylabel="Kendall's tau",
        ylim=(-1.05, 1.05),
    )
    right.set(
        title=f"ASHA in {ORDERS} orders",
        xlabel="epochs trained (% of all whole)",
        ylabel="regret (points of robust accuracy)",
    )
    legend_below(figure, [left], columns=2)
    return figure


def _regret(axis: "Axes", rows: pd.DataFrame, name: str, color: str, marker: str) -> None:
    trained, regret = (
        rows[rows["quantity"] == quantity][["value", "low", "high"]].to_numpy()[0] * 100
        for quantity in ("trained", f"regret_{name}")
    )
    at = trained[0] + (0.6 if name == "best" else 0)  # beside each other
    bars = [[regret[0] - regret[1]], [regret[2] - regret[0]]]
    axis.errorbar(at, regret[0], bars, color=color, marker=marker, markersize=5, capsize=2)


FIGURE = Figure(prepare_rungs, draw_rungs)

if __name__ == "__main__":
    alone(FIGURE, "rungs")
