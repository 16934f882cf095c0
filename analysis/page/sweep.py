"""What a page says of one sweep, collected from its study and its tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.findings import Finding, find, rule_text
from analysis.frames import NOTHING, frames_of
from analysis.overview import status_line
from analysis.page.figures import Drawn, draw_figures, told_few
from analysis.page.grids import Grid, decision_grid, failure_grid, point_grid, trial_grid
from analysis.page.tables import Shown, draw_tables
from analysis.page.trials import trial_data
from tune_at.config.tree import leaves
from tune_at.store.place import Where
from tune_at.store.reader import read_results
from tune_at.study.comparison import plain
from tune_at.study.file import SHIPPED
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.wording import program, shell

GO_ON = "go on with it"

UNDECIDED = "The scheduler has decided nothing yet."


@dataclass(frozen=True)
class SweepContent:
    """One sweep on a page; every text is plain and is escaped where it is shown."""

    name: str
    title: str
    paper: str
    preset: str
    place: str
    status: str
    """`8 trials: 6 completed, 2 running`."""
    finding: Finding
    rule: str
    """What would have to show, the rule's own words; empty for a study without one."""
    setting: Sequence[tuple[str, str]]
    """(key, value) that all trials share, in the order of the study."""
    swept: Sequence[tuple[str, str]]
    """(key, its values)."""
    figures: Sequence[Drawn]
    few: str
    """What is said of figures that have too few points; usually nothing."""
    tables: Sequence[Shown]
    points: Grid
    trials: Grid
    decisions: Grid
    undecided: str
    """What is said where there are no decisions."""
    failures: Grid
    versions: Sequence[tuple[str, str]]
    commands: Sequence[tuple[str, str]]
    """(what it does, the command)."""
    data: str
    """Curves and configs of the trials: JSON, compressed by gzip, in base64."""

    @property
    def missing(self) -> list[str]:
        """A line for each figure and table that cannot be drawn yet, with what is missing."""
        refused = [part.refused for part in self.figures] + [part.refused for part in self.tables]
        return list(dict.fromkeys(f"not drawn: {self._remedied(reason)}" for reason in refused if reason))

    def _remedied(self, reason: str) -> str:
        again = next((command for what, command in self.commands if what == GO_ON), "")
        return f"{self.name}: {reason}; wait for the first, or continue it: {again}" if reason == NOTHING else reason


def collect(sweep: Where, figures: Sequence[str] = ()) -> SweepContent:
    """Everything that a page says of a sweep, finished or running.

    Args:
        sweep: the sweep's folder.
        figures: their names; by default those of its study, and those that fit any sweep of several points.

    Raises:
        UserError: no sweep there, or an unknown figure.
    """
    existing = Sweep.open(str(sweep))
    study, results = existing.study, read_results(existing.folder)
    trials = results.frame("trials")
    frames = frames_of(existing.folder, study, results)
    left = existing.left(results)
    drawn = draw_figures(frames, figures, study.figures)
    return SweepContent(
        name=existing.name,
        title=study.title,
        paper=study.paper or "",
        preset=study.preset or "",
        place=str(existing.folder.place),
        status=status_line(trials, existing.size(results), frames.live),
        finding=find(study.name, frames, left),
        rule=rule_text(study.name),
        setting=_setting(study.base, study.axes),
        swept=[(key, ", ".join(plain(v) for v in values)) for key, values in study.axes.items()]
        + [("seeds", ", ".join(map(str, study.seeds)))] * (not study.curves or len(study.seeds) > 1)
        + _drawn(study),
        figures=drawn,
        few=told_few(drawn, str(existing.folder.place)),
        tables=draw_tables(frames, study.paper or ""),
        points=point_grid(frames),
        trials=trial_grid(frames),
        decisions=decision_grid(frames),
        undecided=_undecided(study),
        failures=failure_grid(trials),
        versions=_versions(trials),
        commands=_commands(existing),
        data=trial_data(frames),
    )


def _undecided(study: Study) -> str:
    if study.curves:
        return "The curves come from elsewhere, and so do their ends: no decision is known."
    return UNDECIDED if study.scheduler.early else "No scheduler judges trials: each runs to its end."


def _setting(base: Any, axes: Any) -> list[tuple[str, str]]:
    swept = set(axes)
    return [(key, plain(value)) for key, value in leaves(base) if key not in swept and key.split(".")[0] not in swept]


def _drawn(study: Study) -> list[tuple[str, str]]:
    """What a search draws, who judges trials, and stages: where a study has them."""
    told = [(key, plain(value)) for key, value in getattr(study.search, "space", {}).items()]
    sections = (("search", study.search.name, study.search), ("scheduler", study.scheduler.name, study.scheduler))
    for key, name, section in sections:
        if name not in ("grid", "fifo"):
            given = section.model_dump(exclude={"name", "space"}, exclude_unset=True)
            told.append((key, plain({"name": name, **given})))
    return told + ([("stages", ", ".join(study.stages))] if study.stages else [])


def _versions(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """Each program's version, and the devices; of several all of them."""
    found: dict[str, dict[str, None]] = {}
    for text in trials["versions"].dropna() if "versions" in trials else ():
        for program_name, version in json.loads(text).items():
            found.setdefault(program_name, {})[str(version)] = None
    for column in ("device", "node"):
        for value in trials[column].dropna() if column in trials else ():
            found.setdefault(column, {})[str(value)] = None
    return [(name, ", ".join(values)) for name, values in found.items()]


def _commands(existing: Sweep) -> list[tuple[str, str]]:
    study, place = existing.study, existing.folder.place
    if study.curves:
        tables = shell(*program(), "query", place, "SELECT * FROM epochs LIMIT 5")
        imported = shell(*program(), "import", study.curves.source, "--into", "DIR/NAME", *study.curves.arguments)
        return [
            ("import them again", imported),
            ("this page", shell(*program(), "report", place)),
            ("its tables", tables),
        ]
    shipped = SHIPPED / f"{study.name}.yaml"
    again = [*program(), "sweep", study.name if str(shipped) == study.source or not study.source else study.source]
    again += ["--preset", study.preset] if study.preset else []
    for key, value in study.overrides.items():
        again += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    told = [("train it again", shell(*again)), ("this page", shell(*program(), "report", place))]
    if existing.left():
        told.insert(1, (GO_ON, shell(*program(), "resume", place)))
    told.append(("its tables", shell(*program(), "query", place, "SELECT * FROM epochs LIMIT 5")))
    return told
