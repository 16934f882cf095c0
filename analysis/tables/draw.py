"""A prepared table as Markdown, LaTeX, HTML, CSV or plain text; pandas' Styler and tabulate draw it."""

import html
import re
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import pandas as pd

from analysis.tables.cells import COLUMNS, NOTHING, records
from analysis.tables.labels import column_label
from analysis.tables.notes import named_rows, notes, shown_cells
from tune_at.errors import UserError, suggestion

Format = Literal["markdown", "latex", "html", "csv", "text"]

FORMATS: tuple[str, ...] = get_args(Format)

OURS, PAPER, DIFFERENCE = "ours", "paper", "ours − paper"

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "−": "$-$", "–": "--",
}  # fmt: skip


class _Panel(NamedTuple):
    caption: str
    heads: list[tuple[str, str]]
    cells: pd.DataFrame
    stub: int
    notes: list[str]


def draw_table(frame: pd.DataFrame, form: str = "markdown") -> str:
    """A prepared table as text, in the paper's layout: rows of ours, the paper's below each, and the difference.

    Args:
        frame: what `prepare_table` has given.
        form: `markdown`, `latex` (needs the package booktabs), `html` (a fragment), `text` (to be read as it is), or
            `csv`: numbers alone, unrounded, a line a row of the table.

    Raises:
        UserError: no such format.
    """
    if form not in FORMATS:
        raise UserError("format", f"{form!r} is unknown", suggestion(form, FORMATS))
    if form == "csv":
        return _csv(frame)
    draw: Callable[[_Panel, str], str] = {
        "markdown": _markdown, "latex": _latex, "html": _html, "text": _text,
    }[form]  # fmt: skip
    named = named_rows(frame, _stub(frame))
    panels = [_panel(str(title), part, form) for title, part in named.groupby("panel", sort=False)]
    return "\n".join(draw(panel, f"{frame['table'].iloc[0]}-{number}") for number, panel in enumerate(panels, 1))


def escape_latex(text: str) -> str:
    """A text as LaTeX prints it."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found[0]], text)


def escape_markdown(text: str) -> str:
    """A text as Markdown shows it, in a cell of a table, too."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text)


_ESCAPES: dict[str, Callable[[str], str]] = {
    "latex": escape_latex, "html": html.escape, "markdown": escape_markdown, "text": str,
}  # fmt: skip


def _stub(frame: pd.DataFrame) -> list[str]:
    names = [name for name in frame.columns if name not in ("table", "panel", "row", *COLUMNS)]
    return [name for name in names if name != "method" or len(names) == 1 or frame[name].nunique() > 1]


def _panel(title: str, part: pd.DataFrame, form: str) -> _Panel:
    """A panel's cells as escaped text; columns are pairs of headings."""
    escape = _ESCAPES[form]
    stub, cells = _stub(part), shown_cells(part)
    compared = bool(cells["paper"].notna().any())
    header = [("", name.capitalize()) for name in stub] + [("", "")] * compared
    heads = list(dict.fromkeys(zip(cells["column"], cells["part"], strict=True)))
    header += [(column_label(column), kind.capitalize()) for column, kind in heads]
    lines: list[list[str]] = []
    for _, row in cells.groupby("row", sort=False):
        values = {(cell["column"], cell["part"]): cell for cell in records(row)}
        names = [str(row[name].iloc[0]) for name in stub]
        ours = [_number(values[key]["value"], values[key]["spread"]) for key in heads]
        lines.append([*names, *[OURS] * compared, *ours])
        if compared and row["paper"].notna().any():
            empty = [""] * len(stub)
            lines.append([*empty, PAPER, *(_number(values[key]["paper"]) for key in heads)])
            lines.append([*empty, DIFFERENCE, *(_number(values[key]["difference"], sign=True) for key in heads)])
    # A panel of which no trial is completed has its heads and the notes that say so.
    table = pd.DataFrame([[escape(text) for text in line] for line in lines], columns=range(len(header)), dtype=object)
    escaped = [(escape(upper), escape(lower)) for upper, lower in header]
    table.columns = pd.MultiIndex.from_tuples(escaped)
    caption = f"Accuracy (%) in the layout of the paper's Table {part['table'].iloc[0]}: {title}"
    return _Panel(escape(caption), escaped, table, len(stub) + compared, [_note(line, form) for line in notes(part)])


def _note(line: str, form: str) -> str:
    """A note's text; what stands in backticks is a command."""
    escape = _ESCAPES[form]
    begin, end = {"latex": (r"\texttt{", "}"), "html": ("<code>", "</code>")}.get(form, ("`", "`"))
    parts = line.split("`")
    return "".join(begin + escape(text) + end if place % 2 else escape(text) for place, text in enumerate(parts))


def _number(value: float, spread: float = float("nan"), sign: bool = False) -> str:
    """`83.75 ± 0.21`, `+0.31`, `−1.07`; a dash for NaN."""
    if value != value:
        return NOTHING
    shown = f"{value:+.2f}" if sign else f"{value:.2f}"
    if float(shown) == 0:
        shown = "0.00"
    return shown.replace("-", "−") + (f" ± {spread:.2f}" if spread == spread else "")


def _markdown(panel: _Panel, name: str) -> str:
    return _as_lines(panel, "pipe", f"**{panel.caption}**")


def _text(panel: _Panel, name: str) -> str:
    return _as_lines(panel, "simple", panel.caption)


def _as_lines(panel: _Panel, layout: str, caption: str) -> str:
    flat = panel.cells.copy()
    flat.columns = pd.Index([f"{upper} {lower.lower()}" if upper else lower for upper, lower in panel.heads])
    align = ["left"] * panel.stub + ["right"] * (flat.shape[1] - panel.stub)
    body = flat.to_markdown(index=False, disable_numparse=True, colalign=align, tablefmt=layout)
    return "\n\n".join([caption, str(body), *("\n".join(f"- {n}" for n in panel.notes),)]) + "\n"


def _latex(panel: _Panel, name: str) -> str:
    align = "l" * panel.stub + "r" * (panel.cells.shape[1] - panel.stub)
    text = panel.cells.style.hide(axis="index").to_latex(
        hrules=True, multicol_align="c", column_format=align, environment="table", position_float="centering",
        caption=panel.caption, label=f"tab:{name}",
    )  # fmt: skip
    below = "".join(rf"\par\footnotesize {note}" + "\n" for note in panel.notes)
    return text.replace(r"\end{table}", below + r"\end{table}")


def _html(panel: _Panel, name: str) -> str:
    styler = panel.cells.style.hide(axis="index").set_caption(panel.caption).set_uuid(re.sub(r"\W", "-", name))
    begins = [f"td.row{place}" for place, first in enumerate(panel.cells.iloc[:, 0]) if place and first]
    apart = bool(begins) and len(begins) < len(panel.cells) - 1  # the paper's rows stand between ours
    styles = {
        "": "border-collapse: collapse; font-variant-numeric: tabular-nums",
        "caption": "text-align: left; padding: 0.4em 0",
        "th, td": "padding: 0.15em 0.6em; white-space: nowrap",
        "thead": "border-top: 2px solid; border-bottom: 1px solid",
        "tbody": "border-bottom: 2px solid",
        "td": "text-align: right",
        ", ".join(f"{cell}.col{place}" for cell in ("th", "td") for place in range(panel.stub)): "text-align: left",
        **({", ".join(begins): "border-top: 1px solid rgba(128, 128, 128, 0.4)"} if apart else {}),
    }
    styler.set_table_styles([{"selector": selector, "props": props} for selector, props in styles.items()])
    listed = "".join(f"<li>{note}</li>\n" for note in panel.notes)
    return styler.to_html(doctype_html=False) + (f"<ul>\n{listed}</ul>\n" if listed else "")


def _csv(frame: pd.DataFrame) -> str:
    stub = _stub(frame)
    rows: list[dict[str, object]] = []
    for _, row in named_rows(frame, ["panel", *stub]).groupby(["panel", *stub], sort=False, dropna=False):
        names = {name: row[name].iloc[0] for name in ("table", "panel", *stub)}
        kinds = [(OURS, "value"), (PAPER, "paper"), ("ours - paper", "difference")]
        for of, source in kinds if row["paper"].notna().any() else kinds[:1]:
            line: dict[str, object] = {**names, "of": of}
            for cell in records(row):
                line[f"{cell['column']} {cell['part']}"] = cell[source]
                line[f"{cell['column']} {cell['part']} spread"] = cell["spread"] if of == OURS else float("nan")
            if row["value"].notna().any():
                rows.append(line)
    return pd.DataFrame(rows).dropna(axis=1, how="all").to_csv(index=False, float_format="%.10g")
