"""A page as HTML, by a template."""

import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources

import jinja2

from analysis.page.sweep import SweepContent
from tune_at.version import __version__


def render_page(sweeps: Sequence[SweepContent], refresh: int | None = None) -> str:
    """One self-contained page: styles, scripts, images and data stand in it.

    Args:
        sweeps: in this order, side by side where they have the same figure.
        refresh: seconds after which a browser reads it again; for a sweep that runs.
    """
    from plotly.offline import get_plotlyjs

    figures = list(dict.fromkeys(figure.name for sweep in sweeps for figure in sweep.figures))
    template = _environment().get_template("page.html.j2")
    return template.render(
        sweeps=sweeps,
        figures=figures,
        refresh=refresh,
        style=_asset("page.css"),
        script=_asset("page.js"),
        plotly=get_plotlyjs(),
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _asset(name: str) -> str:
    return (resources.files("analysis.page") / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FunctionLoader(_asset)
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
