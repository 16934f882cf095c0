"""The page that leads from each figure and table of the paper to its study, command and result.

Made from what the code says of itself: `paper:` of each study in `search_spaces/`, and where the entries of `FIGURES`
and `TABLES` say that they stand in the paper.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from analysis.figures import FIGURES
from analysis.findings import RULES
from analysis.tables import TABLES
from tune_at.study.file import SHIPPED, StudyFile, read_study

RESULTS = Path(__file__).parents[1] / "docs" / "results"

PAPER = (
    *(f"Fig. {number}" for number in ("2a", "2b", "2c", "3a", "3b", "4a", "4b", "5", "6a", "6b", "6c", "7")),
    *(f"Fig. A.{number}" for number in range(1, 10)),
    *(f"Fig. {number}" for number in ("C.1", "C.2")),
    *(f"Tab. {number}" for number in ("1a", "1b", "1c", "2", "A.1", "C.1")),
)
"""What the paper shows, in its order; Fig. 1 is a drawing of an idea, without data."""

HEAD = """\
# The paper's figures and tables

Each with the study that answers it, and the option that draws it. Train first, then draw; of Fig. 2c, and the others
alike:

<!-- partly run: ten minutes of training -->

    $ python run.py sweep noise_rate --preset laptop --name noise_rate
    $ python run.py report runs/noise_rate --figure generalization_gap

`--preset laptop` takes one to a few minutes on two cores; `--preset gpu` and `--preset paper` need a GPU; the
latter is the paper's own setting. What a table compares is attacked first: `python run.py evaluate runs/STUDY`. A
result is a page about this project's own runs, made by a command. Fig. 1 of the paper is a drawing of the idea.

`python -m tools.reference` makes this page from the studies and from the registries of figures and tables.
"""


def places(text: str) -> set[str]:
    """What a study or an entry names of the paper: `Fig. 2a, A.1 to A.3, App. A.2` → Fig. 2a, Fig. A.1, A.2 and A.3.

    Sections, equations, appendices and footnotes are passed over; `Tab. 1` is its three parts.
    """
    named: set[str] = set()
    kind = ""
    for word in (part.strip() for part in text.split(",")):
        if stands := re.match(r"(Fig\.|Tab\.|Sec\.|App\.|Eq\.|footnote|ours)\s*", word):
            kind, word = stands[1], word[stands.end() :]
        if kind not in ("Fig.", "Tab."):
            continue
        first, _, last = word.partition(" to ")
        numbers = _between(first, last) if last else [first]
        named |= {known for number in numbers for known in PAPER if _is_part(known, f"{kind} {number}")}
    return named


def _between(first: str, last: str) -> list[str]:
    """A.1 to A.5: all five."""
    letter, start = first.split(".")
    return [f"{letter}.{number}" for number in range(int(start), int(last.split(".")[1]) + 1)]


def _is_part(known: str, named: str) -> bool:
    return known == named or (known[:-1] == named and known[-1].isalpha())


def shipped() -> dict[str, StudyFile]:
    """The studies that come with the program, by name."""
    return {path.stem: read_study(path) for path in sorted(SHIPPED.glob("*.yaml"))}


def results(study: str, folder: Path = RESULTS) -> list[str]:
    """The names of the result pages of a study: `NAME.md`, or `NAME-preset.md` and the like."""
    return sorted(path.stem for path in folder.glob(f"{study}*.md") if re.fullmatch(rf"{study}([-.].+)?", path.stem))


def rows() -> Iterator[tuple[str, str, str]]:
    """The (place in the paper, study, option of `report`) of each figure and table.

    Studies without a rule for what must show, such as searches, look for something in the paper's setting; they answer
    none of its figures.
    """
    studies = shipped()
    for place in PAPER:
        kind, _, number = place.partition(" ")
        registry = FIGURES if kind == "Fig." else TABLES
        drawn = [entry.name for entry in registry.values() if place in places(entry.source)]
        for study, file in studies.items():
            if study in RULES and place in places(file.paper):
                yield from (
                    (place, study, f"--figure {name}" if kind == "Fig." else f"--table {number}") for name in drawn
                )


def render() -> str:
    """The page, as Markdown: a line for all that one study shows in one way."""
    studies = shipped()
    lines = ["| paper | study | drawn by | result |", "|---|---|---|---|"]
    for (study, option), alike in groupby(rows(), key=lambda row: row[1:]):
        shown = [place for place, *_ in alike]
        kind = shown[0].partition(" ")[0]
        numbers = ", ".join(place.partition(" ")[2] for place in shown)
        link = f"{studies[study].title}: [`{study}`](../search_spaces/{study}.yaml)"
        pages = ", ".join(f"[{page}](results/{page}.md)" for page in results(study)) or "–"
        lines.append(f"| {kind}&nbsp;{numbers} | {link} | `{option}` | {pages} |")
    return "\n".join([HEAD, *lines, ""])
