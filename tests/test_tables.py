"""Tables at the widths that terminals have: each row is one line, and says what matters most."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from tune_at.tables import Column, fitted
from tune_at.wording import shortened

COLUMNS = [
    Column("trial"),
    Column("status", worth=5),
    Column("epochs", right=True, worth=3),
    Column("train", right=True, worth=2, extra=True),
    Column("test", right=True, worth=4),
    Column("robust", right=True, instead_of="test"),
    Column("gap", right=True, worth=1, extra=True),
]
PAIR = "100.0 / 100.0"


def rows(name):
    cells = {"status": "interrupted", "epochs": "200", "train": PAIR, "test": PAIR, "robust": "50.0", "gap": PAIR}
    return [{"trial": f"{n:02d}-{name}-s{n}", **cells} for n in range(12)]


def printed(table, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("name", ["x", "beta=6", "pgd_at_te-eps=16/255-step=4/255-noise_rate=0.4-lr=0.1", "n" * 150])
@pytest.mark.parametrize("width", [200, 120, 80, 60, 40])
def test_each_row_is_one_line_that_fits(name, width):
    given = rows(name)
    head, *lines = printed(fitted(COLUMNS, given, width), width)
    assert len(lines) == len(given)
    assert head.split()[:2] == ["trial", "status"]
    for line, row in zip(lines, given, strict=True):
        assert cell_len(line) <= width
        shown = line.split()[0]
        assert shown == shortened(row["trial"], len(shown))
        assert (shown[:3], shown[-3:]) == (row["trial"][:3], row["trial"][-3:])  # its place and its seed
        assert line.split()[1] == "interrupted"
        assert line.split()[-1] in ("50.0", "100.0")  # never without a result
    # What is an extra goes before any name is shortened.
    if any("…" in line for line in lines):
        assert not {"train", "gap"} & set(head.split())


def test_columns_are_given_up_in_order_of_worth():
    gone = []
    for width in range(120, 20, -1):
        head = printed(fitted(COLUMNS, rows("beta=6"), width), width)[0].split()
        gone += [c.name for c in COLUMNS if not c.instead_of and c.name not in head and c.name not in gone]
        assert ("robust" in head) == ("test" not in head)
    assert gone == ["gap", "train", "epochs", "test", "status"]


def test_without_a_width_nothing_is_given_up():
    table = fitted(COLUMNS, rows("n" * 150), None)
    head, first = printed(table, 1000)[:2]
    assert head.split() == ["trial", "status", "epochs", "train", "test", "gap"]
    assert first.split()[0] == "00-" + "n" * 150 + "-s0"


def test_a_table_without_rows_has_its_heading():
    assert printed(fitted(COLUMNS, [], 40), 40)[0].split()[:2] == ["trial", "status"]


@pytest.mark.parametrize(
    ("width", "text"), [(10, "abcdefghij"), (9, "abcd…ghij"), (8, "abcd…hij"), (4, "ab…j"), (1, "…")]
)
def test_a_text_is_shortened_in_the_middle(width, text):
    assert shortened("abcdefghij", width) == text


def test_a_caption_names_what_was_given_up():
    columns = [Column("trial"), Column("train", worth=1), Column("gap", worth=0), Column("test")]
    rows = [{"trial": "00-a", "train": "100.0 / 100.0", "gap": "0.0 / 0.0", "test": "99.0 / 90.0"}]
    captions = {width: fitted(columns, rows, width, "in %").caption for width in (None, 42, 30)}
    assert captions == {None: "in %", 42: "in %; left out: gap", 30: "in %; left out: train, gap"}
