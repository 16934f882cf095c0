"""A sweep's tables joined into one tidy frame."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.recorded import config_leaves
from tune_at.config.objective import OBJECTIVES
from tune_at.config.scheduler import FIFO, SchedulerSection
from tune_at.errors import UserError
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import is_locked
from tune_at.store.place import Where
from tune_at.store.reader import read_results, read_table, sweep_folder
from tune_at.store.schema import TABLES, TRIALS
from tune_at.store.snapshot import Snapshot
from tune_at.store.status import Status
from tune_at.study.comparison import plain
from tune_at.study.names import linked_columns
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.wording import program, shell


@dataclass(frozen=True)
class Frames:
    """`trials`: one row a trial with every config leaf as a column (`data.noise_rate`, `objective.name`, …).

    `epochs`: one row a (trial, epoch) with the trial's columns beside it. `decisions`: one row a scheduler's decision.
    `scheduler`: the study's. `swept`: the columns of `trials` that tell the study's points apart. `seeds`: how many
    seeds each point has. `read`: a table that training does not write, by name; it is read when it is first asked for.
    `elsewhere`: whether the curves were imported, so that of configs only that is known which was told. `sweep`: where
    all of it is from; None if it was made by hand.
    `linked`: the columns that the mappings of one axis or choice set together. `drawn`: the keys of a search's space.
    `live`: whether somebody runs the sweep.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    decisions: pd.DataFrame = field(default_factory=pd.DataFrame)
    scheduler: SchedulerSection = field(default_factory=FIFO)
    swept: tuple[str, ...] = ()
    seeds: int = 1
    read: Callable[[str], pd.DataFrame] = field(default=lambda table: pd.DataFrame(columns=TABLES[table].schema.names))
    elsewhere: bool = False
    sweep: Sweep | None = None
    linked: tuple[tuple[str, ...], ...] = ()
    drawn: tuple[str, ...] = ()
    live: bool = True

    @cached_property
    def told(self) -> pd.DataFrame:
        """`trials` with each status as it is told: of a sweep that nobody runs, what the table calls running was
        interrupted.
        """
        if self.live or self.trials.empty:
            return self.trials
        return self.trials.assign(status=self.trials["status"].replace(Status.RUNNING, Status.INTERRUPTED))

    @property
    def weights_alone(self) -> bool:
        """Whether its weights come from elsewhere: trials that are completed without an epoch, and have evaluations."""
        return self.epochs.empty and len(self.trials) > 0 and bool((self.trials["status"] == Status.COMPLETED).all())

    @cached_property
    def probes(self) -> pd.DataFrame:
        """One row a (trial, epoch, probe, quantity, x)."""
        return self.read("probes")

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row a (trial, epoch, origin, attack, example)."""
        return self.read("samples")

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row a (trial, epoch, attack)."""
        return self.read("evaluations")


NOTHING = "no epoch has finished yet"
"""What is said of a sweep that has just begun."""


def load_frames(sweep: Where | SweepFolder, *, weights_alone: bool = False) -> Frames:
    """Read a sweep. Raises `UserError` if no epoch has finished.

    `weights_alone`: whether weights from elsewhere will do, which have evaluations alone.
    """
    path = sweep_folder(sweep).study
    study = Study.from_yaml(path.read_text(encoding="utf-8"), str(path))
    frames = frames_of(sweep, study, read_results(sweep))
    if not (weights_alone and frames.weights_alone):
        require_epochs(frames, str(sweep))
    return frames


def require_epochs(frames: Frames, sweep: str) -> None:
    """Raise `UserError`, about the sweep of this address, if it has no finished epoch."""
    if frames.weights_alone:
        remedy = f"its evaluations are a table: {shell(*program(), 'report', sweep, '--table', '1')}"
        raise UserError(sweep, "has no epochs, for its weights come from elsewhere", remedy)
    if frames.epochs.empty:
        again = shell(*program(), "resume", sweep)
        raise UserError(sweep, "has no finished epoch yet", f"wait for the first, or continue it: {again}")


def frames_of(sweep: Where | SweepFolder, study: Study, results: Snapshot) -> Frames:
    """The frames of a study and of what its sweep has written so far, be it nothing."""
    rows, epochs, decisions = results.frame("trials"), results.moved("epochs"), results.frame("decisions")
    swept = tuple(column for column in rows.columns if column not in TRIALS.names)
    elsewhere = study.curves is not None
    trials, joined = join(rows, epochs)
    if elsewhere:
        trials, joined = (frame.assign(**_unknown(frame)) for frame in (trials, joined))
    whole, read = Sweep(SweepFolder.of(sweep), study), partial(read_table, sweep)
    corners = {path: distribution.corners() for path, distribution in study.space.items()}
    linked = linked_columns({**study.axes, **corners}, swept)
    return Frames(
        trials, joined, decisions, study.scheduler, swept, len(study.seeds), read, elsewhere, whole,
        linked=tuple(map(tuple, linked)), drawn=tuple(study.space), live=is_locked(SweepFolder.of(sweep)),
    )  # fmt: skip


UNKNOWN = "unknown"
"""What stands for an objective that nobody has told."""


def _unknown(frame: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """The column of objectives, which all figures name, of curves from elsewhere: told or not."""
    if "objective.name" in frame:
        return {"objective.name": frame["objective.name"].fillna(UNKNOWN)}
    return {"objective.name": pd.Series(UNKNOWN, index=frame.index, dtype=object)}


@contextlib.contextmanager
def answering(frames: Frames, what: str) -> Iterator[None]:
    """Inside, a key of configs that imported curves lack is a `UserError`: `what` cannot be answered without it."""
    try:
        yield
    except KeyError as error:
        key = str(error.args[0]) if error.args else ""
        if not frames.elsewhere or "." not in key:
            raise
        remedy = f"if it is known, import them again with --set {key}=VALUE or --map COLUMN={key}"
        raise UserError(what, f"needs {key}, which these imported curves do not say", remedy) from None


def join(rows: pd.DataFrame, epochs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spread each trial's config over columns and put them beside its epochs."""
    configs = pd.DataFrame([config_leaves(config) for config in rows["config"]], index=rows.index)
    keep = [c for c in rows.columns if c not in configs.columns and c not in ("config", "epochs")]
    trials = pd.concat([rows[keep], configs], axis=1)
    return trials, beside(epochs, trials)


def beside(epochs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Each trial's columns beside its epochs, as `epochs.merge(trials, on="trial")` puts them there.

    A column that is the same for all trials, as most are, is not copied a million times: all rows of a large frame
    share one value, and cannot be written to. Raises `ValueError` for a trial with two rows.
    """
    if not trials["trial"].is_unique:
        raise ValueError("a trial stands twice in the table of trials")
    codes, names = pd.factorize(epochs["trial"])
    rows = pd.Index(trials["trial"]).get_indexer(names)[codes]
    if (rows < 0).any():
        epochs, rows = epochs[rows >= 0].reset_index(drop=True), rows[rows >= 0]
    twice = set(epochs.columns) & set(trials.columns) - {"trial"}
    if twice or len(epochs) < MANY:
        return epochs.merge(trials, on="trial", validate="many_to_one")
    columns = {name: _spread(column, rows) for name, column in trials.items() if name != "trial"}
    return pd.concat([epochs, pd.DataFrame(columns, copy=False)], axis=1)


MANY = 100_000
"""Rows from which on memory counts."""


def _spread(column: pd.Series, rows: NDArray[np.intp]) -> Any:
    """The values of a column by row, the rows there being one at least."""
    values = column.array
    first = values[0]
    if not all(value is first or _equal(value, first) for value in values):
        return values.take(rows)
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        return np.broadcast_to(values.to_numpy()[:1], len(rows))
    block, left = values[:1].take(np.zeros(BLOCK, dtype=np.intp)), len(rows) % BLOCK
    return type(values)._concat_same_type([block] * (len(rows) // BLOCK) + [block[:left]] * (left > 0))


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, of the same type; missing ones are."""
    if type(one) is not type(other) or one is pd.NA:
        return False
    return bool(one == other or (one != one and other != other))


BLOCK = 10_000
"""Values that share memory with the next as many."""


def final_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """The last evaluated epoch of each trial that ran to its end."""
    ended = epochs[(epochs["status"] == Status.COMPLETED) & epochs["test_robust_accuracy"].notna()]
    return ended.sort_values("epoch").groupby("trial", as_index=False).tail(1).sort_values("trial")


def without_gap(frames: Frames, where: str) -> UserError:
    """Why no completed trial has a gap between training and test accuracy."""
    ended = frames.epochs[frames.epochs["status"] == Status.COMPLETED]
    if ended.empty:
        return UserError(where, "no trial is completed yet", "let the sweep finish")
    if ended["test_robust_accuracy"].isna().all():
        remedy = "a folder of images can have one with data.val=test"
        return UserError(where, "the trials' data has no test split", remedy)
    remedy = "train again with evaluation.train_samples above 0"
    return UserError(where, "no completed trial has training accuracies", remedy)


def add_series(epochs: pd.DataFrame, shown: Sequence[str], drawn: Sequence[str] = ()) -> pd.DataFrame:
    """A copy with the column `series`: the objective and what tells its trials apart, but for the keys `shown`.

    So an average over seeds is never one over, say, two values of beta: these are two series. A key is named only if it
    tells apart what `shown` and the keys before it do not (a section's name comes first), and where trials have it; of
    three and more keys a value that most trials share goes without saying. Group by series and all of `shown`.

    `drawn`: the keys of a search's space. Any of their values tells trials apart by itself, and all are named where
    they are known.
    """
    trials = epochs.drop_duplicates("trial")  # what varies, varies from trial to trial
    series = trials["objective.name"].astype(object)
    known = {"objective.name", "seed", *shown}
    keys = sorted((c for c in trials.columns if "." in c and c not in known), key=lambda c: not c.endswith(".name"))
    drawn = [key for key in keys if key in drawn and trials[key].map(str).nunique() > 1]
    for _, part in trials.groupby("objective.name"):
        telling = _telling(part, keys, [key for key in shown if key in part], drawn)
        for key in telling:
            values = part[key].map(plain)
            said = part[key].notna()
            usual = values.value_counts()
            if key not in drawn and len(telling) > 2 and usual.iloc[0] > len(part) / 2:
                said &= values != usual.index[0]
            prefix = "" if key.endswith(".name") else key.rpartition(".")[2] + " "
            series.loc[part.index[said]] += ", " + prefix + values[said]
    return epochs.assign(series=epochs["trial"].map(dict(zip(trials["trial"], series, strict=True))))


def _telling(part: pd.DataFrame, keys: Sequence[str], shown: Sequence[str], drawn: Sequence[str]) -> list[str]:
    """The keys that tell trials apart which those before, and those `shown`, do not; and any that is `drawn`."""
    telling: list[str] = []
    told = pd.Series("", index=part.index)
    for key in shown:
        told = told + "|" + part[key].map(str)
    for key in keys:
        finer = told + "|" + part[key].map(str)
        if finer.nunique() > told.nunique() or key in drawn:
            telling.append(key)
            told = finer
    return telling


def objective_label(name: str) -> str:
    """The paper's name of an objective; a name that no objective has is itself."""
    return (OBJECTIVES[name].label or name) if name in OBJECTIVES else name


def panel_title(letter: str, series: str, panels: int) -> str:
    """`(a) PGD-AT`, without the letter where there is one panel alone."""
    return f"({letter}) {series_label(series)}" if panels > 1 else series_label(series)


def series_label(series: str) -> str:
    """A series with the paper's name of its objective."""
    name, comma, rest = series.partition(",")
    return objective_label(name) + comma + rest
