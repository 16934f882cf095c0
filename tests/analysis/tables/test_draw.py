"""A prepared table as text: read back by independent readers of Markdown, HTML and CSV, and character by character."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from made_sweeps import BEST, LAST, both, config, frames, trial
from markdown_it import MarkdownIt

from analysis.page.tables import draw_tables
from analysis.tables import draw_table, prepare_table
from analysis.tables.draw import escape_latex
from tune_at.errors import UserError

ODD = r"a_b & 50% <b>#1</b> {x}|$y$ ~^\ *z* `c`"
"""A name with everything that LaTeX, HTML or Markdown take for something else."""


class Cells(HTMLParser):
    """The texts of a page's cells, row by row, and of its captions and list items; all other tags it has met."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.rows, self.captions, self.items, self.tags = [], [], [], set()
        self.into = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.into = self.rows[-1]
        elif tag in ("caption", "li"):
            self.into = {"caption": self.captions, "li": self.items}[tag]
        else:
            return
        if self.into is not None and tag != "tr":
            self.into.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th", "caption", "li"):
            self.into = None

    def handle_data(self, data):
        if self.into:
            self.into[-1] += data


def markdown(text):
    return Cells(MarkdownIt("commonmark").enable("table").render(text))


def two_seeds():
    return prepare_table(
        frames(trial("a", config(), both(50, 44)), trial("b", config(seed=1), both(54, 40)), seeds=2), "1"
    )


def with_paper():
    """One row whose paper's numbers are made up."""
    frame = prepare_table(frames(trial("a", config(), both(50, 44))), "1")
    here = (frame["column"] == "pgd-10") & (frame["part"] == "best")
    frame.loc[here, ["paper", "difference"]] = [51.5, -1.5]
    return frame


ROW = ["PGD-AT", "90.00 ± 0.00", "80.00 ± 0.00", "10.00 ± 0.00", "52.00 ± 2.83", "42.00 ± 2.83", "10.00 ± 5.66"]
NOTES = [
    "Left out, for want of any evaluation: PGD-1000, C&W-1000, AutoAttack.",
    "Mean ± standard deviation over 2 seeds.",
    "On 100 images.",
    "Without the paper's numbers: data.name is digits, in the paper cifar10 or cifar100 or svhn;"
    " model.name is small_cnn, in the paper resnet18.",
    "The command evaluate makes what has not been evaluated.",
]
CAPTION = "Accuracy (%) in the layout of the paper's Table 1: digits, l-inf (eps 0.1), small_cnn"


def test_markdown():
    page = markdown(draw_table(two_seeds()))
    heads = [f"{column} {part}" for column in ("Natural accuracy", "PGD-10") for part in ("best", "final", "diff")]
    assert page.rows == [["Method", *heads], ROW]
    assert page.items == NOTES
    assert CAPTION.replace("_", r"\_") in draw_table(two_seeds())


def test_html():
    page = Cells(draw_table(two_seeds(), "html"))
    assert page.rows == [["", "Natural accuracy", "PGD-10"], ["Method", *["Best", "Final", "Diff"] * 2], ROW]
    assert (page.captions, page.items) == ([CAPTION], NOTES)
    assert page.tags <= {"style", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "code"}


def test_latex():
    text = draw_table(two_seeds(), "latex")
    assert r"\multicolumn{3}{c}{Natural accuracy} & \multicolumn{3}{c}{PGD-10} \\" in text
    assert " & ".join(ROW).replace("±", r"$\pm$") + r" \\" in text
    assert r"\begin{tabular}{lrrrrrr}" in text and r"\toprule" in text
    assert rf"\caption{{{CAPTION}}}".replace("%", r"\%").replace("_", r"\_") in text
    assert r"\par\footnotesize Left out, for want of any evaluation: PGD-1000, C\&W-1000, AutoAttack." in text
    assert r"\texttt{evaluate}" in text
    assert text.isascii()
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_the_papers_rows_stand_below_ours():
    page = Cells(draw_table(with_paper(), "html"))
    ours, paper, difference = page.rows[2:]
    assert ours == ["PGD-AT", "ours", "90.00", "80.00", "10.00", "50.00", "44.00", "6.00"]
    assert paper == ["", "paper", "–", "–", "–", "51.50", "–", "–"]
    assert difference == ["", "ours − paper", "–", "–", "–", "−1.50", "–", "–"]
    assert "$-$1.50" in draw_table(with_paper(), "latex")


def test_csv_has_numbers_alone():
    (row,) = csv.DictReader(io.StringIO(draw_table(two_seeds(), "csv")))
    assert (row["table"], row["method"], row["of"]) == ("1", "PGD-AT", "ours")
    assert (row["pgd-10 best"], row["pgd-10 diff"]) == ("52", "10")
    assert float(row["pgd-10 diff spread"]) == pytest.approx(np.sqrt(32))
    assert not [name for name in row if "autoattack" in name]
    rows = list(csv.DictReader(io.StringIO(draw_table(with_paper(), "csv"))))
    assert [(row["of"], row["pgd-10 best"], row["pgd-10 final"]) for row in rows] == [
        ("ours", "50", "44"),
        ("paper", "51.5", ""),
        ("ours - paper", "-1.5", ""),
    ]


def test_a_name_is_shown_as_it_is_in_every_format():
    frame = two_seeds().assign(method=ODD, panel=ODD)
    assert markdown(draw_table(frame)).rows[1][0] == ODD
    page = Cells(draw_table(frame, "html"))
    assert page.rows[2][0] == ODD and page.captions[0].endswith(ODD)
    assert not {"b", "x"} & page.tags and not {"b"} & markdown(draw_table(frame)).tags
    text = draw_table(frame, "latex")
    escaped = (
        r"a\_b \& 50\% \textless{}b\textgreater{}\#1\textless{}/b\textgreater{} \{x\}\textbar{}\$y\$"
        r" \textasciitilde{}\textasciicircum{}\textbackslash{} *z* `c`"
    )
    assert escape_latex(ODD) == escaped
    assert text.count(escaped) == 2  # caption and row
    (row,) = csv.DictReader(io.StringIO(draw_table(frame, "csv")))
    assert row["method"] == ODD
    plain = draw_table(frame, "text")
    assert plain.count(ODD) == 2  # nothing is escaped
    assert plain.startswith(f"Accuracy (%) in the layout of the paper's Table 1: {ODD}\n")


def test_a_row_without_any_number_is_left_out_and_said_so():
    frame = prepare_table(
        frames(trial("a", config(), both(50, 44)), trial("b", config("trades"), both(1, 1), status="diverged")), "1"
    )
    for form in ("markdown", "html"):
        page = (markdown if form == "markdown" else Cells)(draw_table(frame, form))
        assert not any("TRADES" in row for row in page.rows)
        assert page.items[0] == "Left out: TRADES (diverged)."
    assert "TRADES" not in draw_table(frame, "csv")


@pytest.mark.parametrize("table", ["1", "C.1", "A.1"])
@pytest.mark.parametrize(("status", "said"), [("running", "running"), ("stopped", "stopped early")])
def test_a_sweep_of_which_no_trial_is_completed_has_no_table_yet(table, status, said):
    trained = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (0.9, 0.8, 0.7, 0.5)}
    made = frames(trial("a", config(), trained=trained, status=status))
    with pytest.raises(UserError, match=f"no completed trial has a number for it: {said}; let the sweep finish"):
        prepare_table(made, table)
    (shown,) = draw_tables(made, f"Tab. {table}")
    assert "let the sweep finish" in shown.refused


@pytest.mark.parametrize(("live", "said"), [(True, "running"), (False, "interrupted")])
def test_what_nobody_runs_was_interrupted_in_tables_too(live, said):
    trained = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (0.9, 0.8, 0.7, 0.5)}
    made = frames(
        trial("a", config(), both(50, 44), trained=trained),
        trial("b", config(seed=1), trained=trained, status="running"),
        seeds=2,
    )
    for table in ("1", "A.1"):
        missing = prepare_table(replace(made, live=live), table)["missing"]
        assert f"1 of 2 {said}" in " ".join(missing)


def test_a_panel_of_which_no_trial_is_completed_says_so_beside_one_that_is():
    first = trial("a", config(data__noise_rate=0.0), both(1, 1), trained={BEST: (0.9, 0.8, 0.7, 0.5)}, status="running")
    frame = prepare_table(frames(first, trial("b", config(data__noise_rate=0.2), both(50, 44))), "1")
    assert frame["panel"].nunique() == 2
    for form in ("markdown", "html"):
        page = (markdown if form == "markdown" else Cells)(draw_table(frame, form))
        assert page.items[0] == "Left out: PGD-AT (running)."
        assert [row[0] for row in page.rows].count("PGD-AT") == 1
    assert draw_table(frame, "latex").count("PGD-AT &") == 1
    assert draw_table(frame, "csv").count("PGD-AT") == 1


def test_a_cell_without_a_number_is_a_dash():
    made = frames(
        trial("a", config(), both(50, 44)),
        trial("b", config("trades"), [("pgd-10", "best", [(60, 90)])]),
    )
    page = Cells(draw_table(prepare_table(made, "1"), "html"))
    assert page.rows[3] == ["TRADES", "90.00", "–", "–", "60.00", "–", "–"]
    assert "Not evaluated: TRADES (Natural accuracy final, PGD-10 final)." in page.items
    curves = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (1.0, 0.9, 0.75, 0.375)}
    made = frames(
        trial("a", config(), both(50, 44, attack="pgd-1000"), curves), trial("b", config("trades"), trained=curves)
    )
    items = Cells(draw_table(prepare_table(made, "1"), "html")).items
    assert "Not evaluated: TRADES (PGD-1000)." in items
    assert "On 100 images; on all where training measured." in items


def test_seeds_that_are_missing():
    made = frames(
        trial("a", config(), both(50, 44)), trial("b", config(seed=1), both(52, 44)),
        trial("c", config(seed=2), status="failed"), trial("d", config("trades"), both(50, 44)), seeds=3,
    )  # fmt: skip
    items = Cells(draw_table(prepare_table(made, "1"), "html")).items
    assert "1 of 3 failed: PGD-AT." in items
    assert "2 of 3 not started: TRADES." in items
    assert "Mean ± standard deviation over 1 to 2 seeds." in items


def test_where_numbers_come_from():
    curves = {BEST: (0.9, 0.8, 0.7, 0.5), LAST: (1.0, 0.9, 0.75, 0.375)}
    made = frames(trial("a", config(), both(50, 44, attack="autoattack"), curves))
    items = Cells(draw_table(prepare_table(made, "1"), "html")).items
    assert "As training measured it, not evaluate: PGD-10." in items
    only = Cells(draw_table(prepare_table(frames(trial("a", config(), trained=curves)), "1"), "html")).items
    assert not any("As training measured it" in item for item in only)
    several = frames(trial("a", config(), [*both(50, 44), ("autoattack", "best", [(9, 70), (9, 70)])]))
    items = Cells(draw_table(prepare_table(several, "1"), "html")).items
    assert "On 100 images (Natural accuracy), 100 images (PGD-10), 200 images (AutoAttack)." in items


def test_each_panel_is_a_table():
    made = frames(*(trial(f"t{r}", config(data__noise_rate=r), both(50, 44)) for r in (0.0, 0.2)))
    frame = prepare_table(made, "1")
    assert draw_table(frame, "latex").count(r"\begin{table}") == 2
    assert len(re.findall(r"\\label\{tab:1-[12]\}", draw_table(frame, "latex"))) == 2
    page = draw_table(frame, "html")
    assert len(set(re.findall(r'<table id="([^"]+)"', page))) == 2
    assert len(list(csv.reader(io.StringIO(draw_table(frame, "csv"))))) == 3


def test_the_same_frame_gives_the_same_text():
    for form in ("markdown", "latex", "html", "csv"):
        assert draw_table(two_seeds(), form) == draw_table(two_seeds(), form)


def test_a_frame_read_back_from_csv_draws_the_same():
    frame = two_seeds()
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)), keep_default_na=False, na_values={c: [""] for c in (
        "value", "spread", "images", "paper", "printed", "difference",
    )}, dtype={"table": str})  # fmt: skip
    assert draw_table(again, "html") == draw_table(frame, "html")


def test_no_such_format():
    with pytest.raises(UserError, match=r"'tex' is unknown"):
        draw_table(two_seeds(), "tex")


def test_other_images_are_named():
    made = frames(trial("a", config(), both(50, 44)))
    made.evaluations["split"] = "val"
    frame = prepare_table(made, "1", split="val")
    assert Cells(draw_table(frame, "html")).captions == [f"{CAPTION}, val images"]
    with pytest.raises(UserError, match="no trial has been evaluated on test images"):
        prepare_table(made, "1")


def test_of_many_settings_that_are_unlike_the_papers_the_first_are_named():
    frame = two_seeds().assign(unlike="a; b; c; d; e")
    assert "Without the paper's numbers: a; b; c; and 2 more settings." in Cells(draw_table(frame, "html")).items
    frame = two_seeds().assign(unlike="a; b; c; d")
    assert "Without the paper's numbers: a; b; c; d." in Cells(draw_table(frame, "html")).items
