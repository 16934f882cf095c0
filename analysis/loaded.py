"""A sweep's results for notebooks and scripts: its tables as frames, and what is asked of them most."""

import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_numeric_dtype

from analysis.at_epochs import best_points, best_trials, final_trials
from analysis.curves import lines_of, mean_curves
from analysis.figures import FIGURES
from analysis.findings import RULES, Finding, find
from analysis.frames import MANY, Frames, frames_of, require_epochs
from analysis.overview import status_line
from analysis.tables import draw_table, prepare_table
from tune_at.errors import UserError, suggestion
from tune_at.store.place import LocalPlace, Where, to_place
from tune_at.store.reader import read_results
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 5
"""Points that a notebook shows of a sweep."""

FREE_COPIES = int(pd.__version__.partition(".")[0]) >= 3
"""Whether pandas copies a frame only when it is written to."""


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper as a notebook shows it; `frame` has its numbers, tidy: see `analysis.tables`."""

    frame: pd.DataFrame

    def draw(self, form: str = "markdown") -> str:
        """As `markdown`, `latex`, `html`, `csv` or plain `text`."""
        return draw_table(self.frame, form)

    def __repr__(self) -> str:
        return self.draw("text")

    def _repr_html_(self) -> str:
        return self.draw("html")

    def _repr_latex_(self) -> str:
        return self.draw("latex")


@dataclass(frozen=True, repr=False, eq=False)
class LoadedSweep:
    """A sweep as it stood when it was loaded. Its frames are the caller's own: changing one changes nothing else here.

    Attributes:
        place: its folder or address.
        study: what was run.
        frames: its tables as `prepare_…` functions of `analysis` take them.
        left: how many trials are unfinished or have not begun.
        status: `8 trials: 6 completed, 2 running`.
    """

    place: str
    study: Study
    frames: Frames
    left: int
    status: str

    @classmethod
    def at(cls, where: Where) -> "LoadedSweep":
        """The sweep of a folder or an address; see `analysis.load`."""
        place = to_place(where)
        sweep = Sweep.open(str(place.expanduser() if isinstance(place, LocalPlace) else place))
        results = read_results(sweep.folder)
        frames = frames_of(sweep.folder, sweep.study, results)
        status = status_line(results.frame("trials"), sweep.size(results), frames.live)
        return cls(str(sweep.folder), sweep.study, frames, sweep.left(results), status)

    @property
    def name(self) -> str:
        """Its folder's own name."""
        return self.place.rpartition("/")[2]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial with every key of its config as a column."""
        return _own(self.frames.trials)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row a (trial, epoch), the trial's columns beside it. Accuracies in [0, 1], NaN if not measured."""
        return _own(self.frames.epochs)

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """One row a decision of the scheduler."""
        return _own(self.frames.decisions)

    @cached_property
    def probes(self) -> pd.DataFrame:
        """One row a (trial, epoch, probe, quantity, x); read when it is first asked for."""
        return _own(self.frames.probes)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row a (trial, epoch, origin, attack, example); read when it is first asked for."""
        return _own(self.frames.samples)

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row a (trial, epoch, attack, batch); read when it is first asked for."""
        return _own(self.frames.evaluations)

    def best(self, points: int | None = None) -> pd.DataFrame:
        """Each trial at its best epoch, best first; or with a number the best points, means over seeds.

        See `best_trials` and `best_points` of `analysis.at_epochs` for the columns. Empty before the first evaluation.
        """
        return best_trials(self.frames) if points is None else best_points(self.frames, points)

    def final(self) -> pd.DataFrame:
        """Completed trials at their last evaluated epoch, with the columns of `best()`; never a stopped trial."""
        return final_trials(self.frames)

    def curves(self, *columns: str, wide: bool = False) -> pd.DataFrame:
        """Columns of `epochs` by epoch, means over the seeds of a series.

        A series is an objective and what tells its trials apart. Trials that were cut short are left out of a series
        that has others, and a curve ends where one of its trials has not come yet.

        Args:
            columns: `test_robust_accuracy` and the like.
            wide: means alone, to be plotted: a row an epoch, a column a series; of several columns a (column, series).

        Returns:
            Columns column, series, epoch, value (mean), spread (standard deviation over seeds, ddof 1; NaN for one),
            seeds.

        Raises:
            UserError: an unknown column, or none of them has a value yet.
        """
        require_epochs(self.frames, self.place)
        for column in columns or ("",):
            if column not in (known := self._metrics()):
                raise UserError("curves", f"{column!r} is no metric of epochs", suggestion(column, known))
        try:
            means = lines_of(mean_curves(self.frames, {column: (column,) for column in columns}, ["column"]))
        except UserError as error:
            raise UserError("curves", error.problem, error.remedy) from None
        means = means.astype({"epoch": "int64"}).reset_index(drop=True)
        if wide:
            over = "series" if len(columns) == 1 else ["column", "series"]
            return means.pivot_table(index="epoch", columns=over, values="value", sort=False).sort_index()
        return means[["column", "series", "epoch", "value", "spread", "seeds"]]

    def _metrics(self) -> list[str]:
        """The columns of `epochs` that have a number an epoch."""
        epochs, beside = self.frames.epochs, set(self.frames.trials.columns) | {"epoch"}
        columns = [name for name in epochs.columns if name not in beside]
        return [name for name in columns if is_numeric_dtype(epochs[name]) or epochs[name].isna().all()]

    def finding(self) -> Finding:
        """Whether what the paper found shows here: an outcome and its numbers, by the study's rule."""
        return find(self.study.name, self.frames, self.left)

    def figure(self, name: str, **options: str) -> "Figure":
        """A figure of `python run.py list figures`, as `test_curves`; a notebook shows it.

        Args:
            name: of the figure.
            options: what it takes, as `by="attack.eps"`.

        Raises:
            UserError: an unknown figure or option, or one that this sweep cannot answer.
        """
        figure = FIGURES[name].load()
        for option in options:
            if option not in figure.options:
                raise UserError(f"figure {name}", f"takes no {option}", suggestion(option, figure.options))
        require_epochs(self.frames, self.place)
        picture: Figure = figure(self.frames, **options)[1]
        return picture

    def table(self, name: str) -> PaperTable:
        """A table of the paper from this sweep: 1, 1a, 1b, 1c, 2, A.1 or C.1.

        Raises:
            UserError: no such table, or a sweep without any number for it.
        """
        if not self.frames.weights_alone:
            require_epochs(self.frames, self.place)
        return PaperTable(prepare_table(self.frames, name))

    def __repr__(self) -> str:
        return f"<sweep {self.name}: {self.status}>"

    def _repr_html_(self) -> str:
        head = f"<strong>{html.escape(self.study.title)}</strong> <code>{html.escape(self.name)}</code>"
        lines = [head, html.escape(self.status)]
        if self.study.name in RULES:
            lines.append(html.escape(self._told()))
        return f"<p>{'<br>'.join(lines)}</p>{self._shown_points()}"

    def _told(self) -> str:
        try:
            outcome, numbers = self.finding()
        except UserError as error:  # whoever only looks at a sweep is told, too
            return str(error)
        return f"{self.study.paper}: {outcome}: {numbers}"

    def _shown_points(self) -> str:
        """The best points as a small table; nothing before the first evaluation."""
        points = self.best(SHOWN)
        if points.empty:
            return ""
        shown = pd.DataFrame({"best points": points["point"], "seeds": points["seeds"]})
        if (points["measured_on"] != "").any():
            shown.insert(1, "measured on", points["measured_on"])
        for title in ("natural", "robust", "test natural", "test robust"):
            column = f"{title.replace(' ', '_')}_accuracy"
            values = zip(points[column], points[f"{column}_spread"], strict=True)
            shown[title] = [_percent(mean, spread) for mean, spread in values]
        table = shown.to_html(index=False, border=0)
        return f"{table}<p>accuracy in %, at each trial's best epoch; natural and robust on its selection split</p>"


def _own(frame: pd.DataFrame) -> pd.DataFrame:
    # In a large one rows share memory that cannot be written to: see `analysis.frames.beside`.
    return frame.copy(deep=not FREE_COPIES or len(frame) >= MANY)


def _percent(mean: float, spread: float) -> str:
    """`81.2 ± 0.4`; empty for what was not measured."""
    if mean != mean:
        return ""
    return f"{100 * mean:.1f}" + (f" ± {100 * spread:.1f}" if spread == spread else "")
