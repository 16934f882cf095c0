"""Figures stay out of pyplot: it belongs to whoever imports them."""

import struct
import subprocess
import sys

import pandas as pd
import pytest

from analysis.figures.budget_curves import draw_budget_curves
from analysis.figures.generalization_gap import draw_generalization_gap
from analysis.figures.memorization_curves import draw_memorization_curves
from analysis.figures.noise_curves import draw_noise_curves
from analysis.figures.overfitting_curves import draw_overfitting_curves
from analysis.figures.test_curves import draw_test_curves
from analysis.style import SCREEN_DPI, panels, render


def test_a_figure_is_none_of_pyplots_and_shows_itself():
    import matplotlib.pyplot as plt

    figure, axes = panels(2)
    axes[0].plot([1, 2])
    assert plt.get_fignums() == []  # what is plotted next lands in no figure of ours, and no window opens
    shown, saved = figure._repr_png_(), render(figure)
    width, height = struct.unpack(">II", shown[16:24])
    assert abs(width - 8.8 * SCREEN_DPI) < 0.1 * width
    assert abs(height - 3.9 * SCREEN_DPI) < 0.1 * height
    assert struct.unpack(">II", saved[16:24])[0] > 1.5 * width


def test_the_backend_stays_what_it_was():
    code = "import matplotlib; matplotlib.use('svg'); import analysis.style; print(matplotlib.get_backend())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "svg"


def of_many(count):
    """The numbers of a figure of many series, with the columns of all figures of curves."""
    rows = [
        {"series": f"pgd_at, lr {n}", "split": split, "kind": "natural", "eps": 0.1, "noise_rate": 0.0,
         "key": "optim.lr", "at": n, "gap": 0.1, "epoch": 1, "value": 0.5, "spread": float("nan"), "seeds": 1,
         "mark": ""}
        for n in range(count) for split in ("train", "test")
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("draw", "shown"),
    [
        (draw_overfitting_curves, 24), (draw_budget_curves, 24), (draw_memorization_curves, 24),
        (draw_generalization_gap, 24), (draw_noise_curves, 12),  # two panels each
    ],
)  # fmt: skip
def test_a_figure_has_as_many_panels_as_can_be_read_and_says_so(draw, shown):
    figure = draw(of_many(30))
    axes = [axis for axis in figure.axes if axis.axison]
    assert len(axes) == 24
    assert all(axis.lines or axis.containers for axis in axes)  # none is empty
    assert f"the first {shown} of 30 series" in figure.legends[0].get_title().get_text()
    few = draw(of_many(3)).legends[0].get_title().get_text()
    assert "first" not in few


def test_of_many_lines_none_is_named():
    figure = draw_test_curves(of_many(30))
    assert len(figure.axes[0].lines) >= 30
    assert figure.legends[0].get_texts() == []
    assert "30 lines, from dark to light in their order" in figure.legends[0].get_title().get_text()
