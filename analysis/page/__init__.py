"""One page about one or several sweeps: a file that opens from disk and asks nothing of a network."""

from analysis.page.render import render_page
from analysis.page.sweep import SweepContent, collect

__all__ = ["SweepContent", "collect", "render_page"]
