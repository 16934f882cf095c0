"""The pages that are made from the code are current, and say what the code says."""

import argparse
from typing import Annotated, Literal

import pytest
from pydantic import Field

from tools import keys, options, paper_map
from tools.reference import DOCS, PAGES
from tune_at.cli.commands import NAMES
from tune_at.config.section import Pixels, Rate, Section, When, Whole
from tune_at.config.tree import leaves
from tune_at.config.trial import TrialConfig


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_that_of_the_code(page):
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), "make it again: python -m tools.reference"


# Keys


class Made(Section):
    """Cases whose words were written by hand."""

    name: str
    radius: Pixels = 8 / 255
    """Radius."""
    step: Annotated[Pixels, Field(gt=0)] = 0.5
    """Step."""
    moment: When = 0.45
    """Moment."""
    falls: tuple[Annotated[When, Field(gt=0)], ...] = (0.5, 0.75)
    """Moments."""
    third: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    """A third."""
    share: Rate = 0.0
    """One line
    and another with a | in it."""
    many: Literal["all"] | Annotated[Whole, Field(ge=1)] = "all"
    """How many."""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 0
    """A seed."""
    needed: str
    """No default."""
    switch: bool = False
    """A switch."""


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        ("radius", "`8/255` | length in pixels from 0 to 1"),
        ("step", "`0.5` | length in pixels > 0, ≤ 1"),
        ("moment", "`0.45` | moment of the run ≥ 0"),
        ("falls", "`[0.5, 0.75]` | list: moment of the run > 0"),
        ("third", "`1/3` | number > 0, ≤ 1"),
        ("share", "`0` | number from 0 to 1 | One line and another with a \\| in it."),
        ("many", "`all` | `all` or whole number ≥ 1"),
        ("seed", "`0` | whole number ≥ 0, < 2⁶³"),
        ("needed", "required | text"),
        ("switch", "`false` | `true` or `false`"),
    ],
)
def test_a_key_s_default_and_range_in_words(field, cells):
    assert keys.row("made", field, Made.model_fields[field]).startswith(f"| `made.{field}` | {cells}")


def test_a_key_that_says_nothing_of_itself_is_refused():
    with pytest.raises(ValueError, match=r"made\.name has no docstring"):
        keys.row("made", "name", Made.model_fields["name"])


def test_every_key_of_a_trial_is_on_the_page():
    page = PAGES["reference/config.md"]()
    paths = [path for path, _ in leaves(TrialConfig().as_tree()) if path.rpartition(".")[2] != "name"]
    assert len(paths) > 25
    assert [path for path in paths if f"| `{path}` |" not in page] == []


def test_a_default_is_the_one_that_a_trial_has():
    assert TrialConfig().objective.name == "pgd_at" == keys.DEFAULTS["objective"]
    assert "Left out, it is `pgd_at`." in PAGES["reference/config.md"]()


# Commands


def test_every_command_is_on_the_page_with_its_own_options():
    page = PAGES["reference/commands.md"]()
    assert [name for name in NAMES if f"\n## {name}\n" not in page] == []
    assert "| `--set A.B=C` |" in page
    assert "--help" not in page.partition("\n## ")[2]


def test_an_option_is_written_as_one_types_it():
    parser = argparse.ArgumentParser()
    option = parser.add_argument("--split", choices=("test", "val"), help="which (default: %(default)s)", default="val")
    assert options._written(option) == "`--split test\\|val`"
    assert options._help(parser, option) == "which (default: val)"
    assert options._written(parser.add_argument("sweeps", nargs="+", metavar="DIR/NAME")) == "`DIR/NAME …`"
    assert options._written(parser.add_argument("-f", "--force", action="store_true")) == "`-f`, `--force`"


# The paper's map


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Fig. 2a, 2b", {"Fig. 2a", "Fig. 2b"}),
        ("Fig. 6b, C.1", {"Fig. 6b", "Fig. C.1"}),
        ("Fig. 2a, A.1 to A.3, A.8", {"Fig. 2a", "Fig. A.1", "Fig. A.2", "Fig. A.3", "Fig. A.8"}),
        ("Fig. A.3, App. A.2.1", {"Fig. A.3"}),
        ("Sec. 5, Tab. 1", {"Tab. 1a", "Tab. 1b", "Tab. 1c"}),
        ("Fig. A.8, Eq. 6", {"Fig. A.8"}),
        ("Tab. 2, footnote 2", {"Tab. 2"}),
        ("Fig. 7, Tab. 1a", {"Fig. 7", "Tab. 1a"}),
        ("ours", set()),
    ],
)
def test_what_a_study_names_of_the_paper(text, named):
    assert paper_map.places(text) == named


def test_every_figure_and_table_of_the_paper_has_a_study_and_what_draws_it():
    answered = {place for place, *_ in paper_map.rows()}
    assert [place for place in paper_map.PAPER if place not in answered] == []


def test_a_study_names_the_figures_that_the_map_says_it_answers():
    studies = paper_map.shipped()
    figures = [(study, option.split()[1]) for place, study, option in paper_map.rows() if place.startswith("Fig.")]
    assert [(study, name) for study, name in figures if name not in studies[study].figures] == []


def test_result_pages_are_those_of_the_study_alone(tmp_path):
    for name in ("noise_rate", "noise_rate-cifar", "noise_rates", "noise_curves"):
        (tmp_path / f"{name}.md").touch()
    assert paper_map.results("noise_rate", tmp_path) == ["noise_rate", "noise_rate-cifar"]
