"""`python -m tools.results [STORAGE]`: pages `docs/results/NAME.md` from what `run.py studies` has run.

A page says what the paper found, what the presets gave here, and where the settings differ. Nothing in it is written by
hand: to change a page, run the study again.
"""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

from analysis.figures import FIGURES
from analysis.findings import RULES, Finding, find, rule_text
from analysis.frames import Frames, load_frames
from analysis.paper import STATEMENTS
from analysis.style import render
from analysis.tables import TABLES, draw_table, prepare_table
from tune_at.cli.commands.studies import folder_name
from tune_at.config.tree import leaves
from tune_at.config.trial import NAMED_SECTIONS
from tune_at.errors import UserError
from tune_at.study.comparison import plain
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.wording import duration

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"

PRESETS = ("laptop", "cifar")

SKIPPED = ("resources.", "evaluation.", "train.selection", "train.precision", "data.validation")
"""Keys in which a setting may differ from the paper's without a word."""

DPI = 90


class Result(NamedTuple):
    """What one preset gave."""

    preset: str
    study: Study
    frames: Frames
    finding: Finding
    seconds: float


def main(arguments: list[str]) -> int:
    """Write the pages of all studies whose sweeps are in a storage, and their index."""
    storage = Path(arguments[0] if arguments else "runs/studies")
    results = {name: found for name in RULES if (found := read_results(storage, name))}
    if not results:
        print(f"{storage} has no finished study; run: python run.py studies --storage {storage}", file=sys.stderr)
        return 2
    PAGES.mkdir(parents=True, exist_ok=True)
    kept = kept_lines(results)
    for old in PAGES.iterdir():
        if not old.name.startswith(tuple(f"{name}{end}" for name in kept for end in (".", "-"))):
            old.unlink()
    results = {name: found for name, found in results.items() if name not in kept}
    for name, found in results.items():
        (PAGES / f"{name}.md").write_text(page(name, found, PAGES), encoding="utf-8")
    lines = {
        name: kept.get(name) or index_lines(name, results[name]) for name in RULES if name in kept or name in results
    }
    (PAGES / "README.md").write_text(index(lines), encoding="utf-8")
    print(f"{PAGES}: {len(results)} studies")
    for name in kept:
        print(f"{PAGES / name}.md stays: {storage} lacks a preset that it shows", file=sys.stderr)
    return 0


def kept_lines(results: dict[str, list[Result]]) -> dict[str, list[str]]:
    """The studies whose pages show a preset that is not there now, each with its lines of the index.

    A storage of a few sweeps must not cost the pages of the others.
    """
    there = PAGES / "README.md"
    lines = there.read_text(encoding="utf-8").splitlines() if there.is_file() else []
    kept = {}
    for name in RULES:
        before = [line for line in lines if line.startswith(f"| [{name}]({name}.md) |")]
        presets = {line.split(" | ")[2] for line in before}
        if not presets <= {result.preset for result in results.get(name, [])}:
            kept[name] = before
    return kept


def read_results(storage: Path, name: str) -> list[Result]:
    """The finished sweeps of a study's presets; those that are not there or not finished are left out."""
    results = []
    for preset in PRESETS:
        folder = storage / folder_name(name, preset)
        if not (folder / "study.yaml").is_file() or (sweep := Sweep.open(str(folder))).left():
            continue
        frames, took = load_frames(str(folder)), storage / f"{folder.name}.json"
        seconds = float(json.loads(took.read_text())) if took.is_file() else float("nan")
        results.append(Result(preset, sweep.study, frames, find(name, frames), seconds))
    return results


def index(found: dict[str, list[str]]) -> str:
    """All findings in one table, from each study's lines."""
    head = [
        "# All findings", "",
        "What the presets of this repository gave on two cores of a CPU, beside what the paper found. Made by",
        "`make results`; a finding that does not show at this scale is told as such.", "",
        "| study | paper | preset | finding | took |", "|---|---|---|---|---|",
    ]  # fmt: skip
    return "\n".join([*head, *(line for lines in found.values() for line in lines)]) + "\n"


def index_lines(name: str, results: list[Result]) -> list[str]:
    """A study's lines of the index, one a preset."""
    return [
        f"| [{name}]({name}.md) | {result.study.paper} | {result.preset} | **{result.finding.outcome}**: "
        f"{result.finding.numbers} | {duration(result.seconds) if result.seconds == result.seconds else ''} |"
        for result in results
    ]


def page(name: str, results: list[Result], folder: Path) -> str:
    """The page of a study; its pictures are written beside it."""
    study = results[0].study
    said = [f"- {row.words} ({row.place})" for row in STATEMENTS if places(row.place) & places(study.paper or "")]
    lines = [f"# {study.title}", "", f"{study.paper}. Made by `make results` from real sweeps.", ""]
    if said:
        lines += ["## What the paper says", "", *said, ""]
    lines += ["## What was found here", "", f"What has to show: {rule_text(name)}", ""]
    for result in results:
        lines += [f"### Preset `{result.preset}`", "", f"**{_sentence(result.finding.outcome)}** "
                  f"{_sentence(result.finding.numbers)}", "", *_setting(result), "", *_pictures(name, result, folder),
                  *_tables(result)]  # fmt: skip
    lines += ["## Where the settings differ", "", *_differences(name, results)]
    return "\n".join(lines) + "\n"


def places(text: str) -> set[tuple[str, str]]:
    """`Sec. 3.1, Fig. 2a, 2b` is {(Sec, 3.1), (Fig, 2a), (Fig, 2b)}."""
    found, kind = set(), ""
    for named, number in re.findall(r"\b(Fig|Tab|Sec|App|Eq)\.|\b((?:[A-C]\.)?\d+(?:\.\d+)*[a-z]?)\b", text):
        kind = named or kind
        if number:
            found.add((kind, number))
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _setting(result: Result) -> list[str]:
    trials = result.frames.trials
    devices = ", ".join(sorted({str(device) for device in trials["device"].dropna()}))
    preset = f" --preset {result.preset}"
    took = f" in {duration(result.seconds)}" if result.seconds == result.seconds else ""
    seeds = len(result.study.seeds)
    return [
        f"{len(trials)} trials{took} on {devices}, {seeds} seed{'s' * (seeds > 1)} a point: "
        f"`python run.py sweep {result.study.name}{preset}`"
    ]


def _pictures(name: str, result: Result, folder: Path) -> list[str]:
    lines: list[str] = []
    # The figures that the study names today: what a sweep recorded may be older.
    for figure in Study.resolve(name, result.preset).figures:
        entry = FIGURES[figure]
        try:
            _, picture = entry.load()(result.frames)
        except UserError as error:
            lines += [f"Not drawn: {error}.", ""]
            continue
        file = f"{folder_name(name, result.preset)}-{figure}.png"
        (folder / file).write_bytes(render(picture, "png", DPI))
        lines += [f"![{entry.summary}]({file})", "", f"*{_sentence(entry.summary)[:-1]}.*", ""]
    return lines


def _tables(result: Result) -> list[str]:
    lines: list[str] = []
    for table in [table for table in TABLES if f"Tab. {table}" in (result.study.paper or "")]:
        try:
            lines += [draw_table(prepare_table(result.frames, table), "markdown").strip(), ""]
        except UserError as error:
            lines += [f"Table {table} is not there: {error}.", ""]
    return lines


def _differences(name: str, results: list[Result]) -> list[str]:
    """A table of the keys in which a preset is not the paper's."""
    paper = _values(Study.resolve(name, "paper"))
    here = {result.preset: _values(result.study) for result in results}
    keys = list(dict.fromkeys([*paper, *(key for values in here.values() for key in values)]))
    keys = [key for key in keys if not key.startswith(SKIPPED)]
    rows = [
        [key, paper.get(key, ""), *(values.get(key, "") for values in here.values())]
        for key in keys
        if any(values.get(key, "") != paper.get(key, "") for values in here.values())
    ]
    head = ["key", "paper", *here]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _values(study: Study) -> dict[str, str]:
    values = {_named(key): plain(value) for key, value in leaves(study.base)}
    for key, axis in study.axes.items():
        values = {known: value for known, value in values.items() if known != key and not known.startswith(f"{key}.")}
        names = all(isinstance(value, str) for value in axis)
        values[_named(key) if names else key] = ", ".join(plain(value) for value in axis)
    values["seeds"] = ", ".join(map(str, study.seeds))
    if study.stages:
        values["stages"] = ", ".join(study.stages)
    return values


def _named(key: str) -> str:
    """`model: resnet18` is `model.name: resnet18`."""
    return f"{key}.name" if key in NAMED_SECTIONS else key


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
