"""docs/reference/tables.md names every column of every table."""

import itertools
import re
from pathlib import Path

import pytest

from tune_at.store.schema import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tables.md"


def expanded(text):
    """The words of a cell; `{a,b}_{c,d}` stands for four."""
    for word in re.findall(r"[\w{},…]*\w[\w{}…]*", re.sub(r", ", "  ", text)):
        parts = [
            part.strip("{}").split(",") if part[0] == "{" else [part] for part in re.findall(r"{[^}]*}|[^{}]+", word)
        ]
        yield from map("".join, itertools.product(*parts))


@pytest.mark.parametrize("table", TABLES)
def test_the_page_names_each_column(table):
    (line,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{table}` |"))
    named = set(expanded(line.split("|")[3]))
    columns = set(TABLES[table].schema.names)
    assert columns <= named, columns - named


def test_a_pattern_stands_for_each_of_its_columns():
    assert set(expanded("trial, `{a,b}_x_{c,d}`, n (of it)")) >= {"trial", "a_x_c", "a_x_d", "b_x_c", "b_x_d", "n"}
    assert "a" not in set(expanded("`{a,b}_x`"))
