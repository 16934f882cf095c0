"""Figures stay out of pyplot: it belongs to whoever imports them."""

import struct
import subprocess
import sys

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
