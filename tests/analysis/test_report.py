"""A report draws what it can, and says what it cannot."""

import pandas as pd
import pytest

from analysis import report
from analysis.figures.base import Figure
from tune_at.errors import UserError


def refuse(frames):
    raise UserError("front", "no completed trial has been evaluated", "wait")


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    import matplotlib.pyplot as plt

    class Entry:
        def __init__(self, figure):
            self.load = lambda: figure

    curve = Figure(lambda frames: pd.DataFrame({"x": [1]}), lambda frame: plt.figure())
    front = Figure(refuse, lambda frame: plt.figure())
    monkeypatch.setattr(report, "FIGURES", {"curve": Entry(curve), "front": Entry(front)})
    monkeypatch.setattr(report, "load_frames", lambda sweep: None)
    return tmp_path


def test_what_can_be_drawn_is_drawn_and_the_rest_is_said(drawn):
    lines = []
    written = report.write_report(drawn, ["front", "curve"], lines.append)
    assert [path.name for path in written] == ["curve.png", "curve.csv"]
    assert (drawn / "report" / "curve.csv").read_text() == "x\n1\n"
    assert lines == ["not drawn: front: no completed trial has been evaluated; wait"]


def test_a_sweep_that_answers_no_figure_is_a_mistake_and_leaves_no_folder(drawn):
    with pytest.raises(UserError, match="no completed trial"):
        report.write_report(drawn, ["front"])
    assert not (drawn / "report").exists()
