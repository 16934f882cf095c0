"""Figures that users of sweeps expect, over whatever keys were swept."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from made_frames import frames, point

from analysis.figures import FIGURES
from analysis.figures.base import Figure, alone
from analysis.figures.generalization_gap import draw_generalization_gap, prepare_gap_by_key, prepare_generalization_gap
from analysis.figures.importance import draw_importance, prepare_importance
from analysis.figures.parallel_coordinates import NONE, draw_parallel_coordinates, prepare_parallel_coordinates
from analysis.figures.pareto_front import draw_pareto_front, prepare_pareto_front
from analysis.figures.slices import draw_slices, prepare_slices
from analysis.figures.training_cost import draw_training_cost, prepare_training_cost
from analysis.notes import notes_of
from tune_at.errors import UserError

SWEPT = ("objective", "optim.lr", "optim.name", "model.width")
GRID = frames(
    point("pgd_at", 0.5, optim__lr=0.001, optim__name="sgd", model__width=8),
    point("pgd_at", 0.6, optim__lr=0.1, optim__name="sgd", model__width=8),
    point("trades", 0.7, optim__lr=0.1, optim__name="adam"),
    swept=SWEPT,
)
GRID = replace(GRID, linked=(("objective", "optim.name"),))  # as if one mapping had set both
FOLLOWS = ("not shown: optim.name, which follows from objective", "not shown: model.width, 8 at its point")


CONSTANT = [point("pgd_at", 0.5, optim__lr=lr, model__width=8) for lr in (0.1, 0.2)]


def test_slices_have_a_row_a_key_and_point():
    frame = prepare_slices(GRID)
    assert list(dict.fromkeys(frame["key"])) == ["objective", "optim.lr"]
    assert notes_of(frame) == FOLLOWS
    lr = frame[frame["key"] == "optim.lr"]
    assert lr[["trial", "at", "robust"]].to_numpy().tolist() == [["a", 0.001, 0.5], ["b", 0.1, 0.6], ["c", 0.1, 0.7]]
    figure = draw_slices(frame)
    assert figure.axes[1].get_xscale() == "log"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["PGD-AT", "TRADES"]


def test_parallel_coordinates_span_each_axis():
    assert notes_of(prepare_parallel_coordinates(GRID)) == FOLLOWS
    frame = prepare_parallel_coordinates(GRID).set_index(["axis", "trial"])
    assert frame.loc["optim.lr", "height"].to_dict() == pytest.approx({"a": 0.0, "b": 1.0, "c": 1.0})
    assert frame.loc["robust accuracy", "height"].to_dict() == pytest.approx({"a": 0.0, "b": 0.5, "c": 1.0})
    assert frame.loc["objective", "height"].to_dict() == {"a": 0.0, "b": 0.0, "c": 1.0}
    assert frame.loc[("robust accuracy", "b"), "value"] == "60.0%"
    axis = draw_parallel_coordinates(frame.reset_index()).axes[0]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["objective", "optim.lr\n(log)", "robust accuracy"]


def test_a_front_has_each_group_in_its_colour_and_each_series_in_the_legend():
    betas = (None, 1.0, 6.0)
    made = frames(
        *(point("trades" if beta else "pgd_at", 0.5 + rate / 4 - 0.01 * place, natural=0.6 + 0.01 * place * (place < 2),
                **({"objective__beta": beta} if beta else {}), data__noise_rate=rate)
          for rate in (0.0, 0.6) for place, beta in enumerate(betas)),
        swept=("objective", "objective.beta", "data.noise_rate"),
    )  # fmt: skip
    frame = prepare_pareto_front(made)
    assert frame.groupby("group")["front"].sum().tolist() == [2, 2]
    figure = draw_pareto_front(frame)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "front, data.noise_rate=0", "front, data.noise_rate=0.6", "hollow: not on a front", "PGD-AT",
        "TRADES, beta 1", "TRADES, beta 6",
    ]  # fmt: skip
    drawn = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "s", "^") and len(line.get_xdata())]
    assert len(drawn) == 6
    assert len({line.get_color() for line in drawn}) == 2  # a colour a group, on the front or not
    assert sum(line.get_markerfacecolor() == "white" for line in drawn) == 2


def test_training_cost_names_all_that_a_search_draws():
    made = frames(
        *(point("trades", 0.5 + lr, optim__lr=lr, objective__beta=beta) for lr, beta in ((0.1, 1.5), (0.2, 2.5))),
        swept=("optim.lr", "objective.beta"),
    )  # fmt: skip
    made = replace(made, drawn=("optim.lr", "objective.beta"))
    assert prepare_training_cost(made)["series"].tolist() == [
        "trades, beta 1.5, lr 0.1", "trades, beta 2.5, lr 0.2",
    ]  # fmt: skip


@pytest.mark.parametrize("length", [2, 3, 6, 20])
def test_no_axis_has_half_an_epoch(length):
    values = {column: [0.5] * length for column in ("train_natural_accuracy", "train_robust_accuracy")}
    figure = FIGURES["memorization_curves"].load()(frames(("pgd_at", {}, values)))[1]
    ticks = figure.axes[0].get_xticks()
    assert len(ticks) > 1
    assert all(tick == int(tick) for tick in ticks)


def test_whole_numbers_of_a_key_have_no_half_ticks():
    made = frames(*(point("pgd_at", width / 100, model__width=width) for width in (1, 2, 4)), swept=("model.width",))
    assert all(tick == int(tick) for tick in draw_slices(prepare_slices(made)).axes[0].get_xticks())


def test_a_point_without_a_key_passes_below_its_axis():
    made = frames(
        point("pgd_at", 0.5, model__width=8), point("pgd_at", 0.6, model__width=16), point("pgd_at", 0.7),
        swept=("model.width",),
    )  # fmt: skip
    frame = prepare_parallel_coordinates(made)
    assert frame[frame["axis"] == "model.width"]["height"].isna().tolist() == [False, False, True]
    axis = draw_parallel_coordinates(frame).axes[0]
    assert [text.get_text() for text in axis.texts].count("none") == 1
    lines = [line for line in axis.lines if line.get_marker() == "."]
    assert all(height == height for line in lines for height in line.get_ydata())  # no line is lost between two axes
    assert sorted(line.get_ydata()[0] for line in lines) == [NONE, 0.0, 1.0]
    assert notes_of(prepare_slices(made)) == ("1 point without model.width",)


def test_importance_finds_the_key_that_matters():
    cases = [
        point("pgd_at", 0.3 + 0.4 * (lr > 0.01), optim__lr=lr, model__width=width)
        for lr in (0.001, 0.1)
        for width in (8, 16, 32)
    ]
    frame = prepare_importance(frames(*cases, swept=("optim.lr", "model.width")))
    assert frame["key"].tolist() == ["optim.lr", "optim.lr", "model.width", "model.width"]
    assert frame.groupby("evaluator")["importance"].sum().tolist() == pytest.approx([1, 1])
    assert frame["importance"][:2].min() > 0.8
    assert draw_importance(frame).axes[0].get_title() == "6 points"
    with pytest.raises(UserError, match="3 completed points are too few"):
        prepare_importance(GRID)


def test_a_sweep_of_one_point_differs_in_nothing():
    one = frames(point("pgd_at", 0.5), swept=())
    for prepare in (prepare_slices, prepare_parallel_coordinates, prepare_importance):
        with pytest.raises(UserError, match="1 completed point: nothing differs"):
            prepare(one)


def test_training_cost_sums_the_epochs():
    made = frames(point("pgd_at", 0.5, seed=0), point("pgd_at", 0.7, seed=1), point("trades", 0.6), seeds=2)
    frame = prepare_training_cost(made).set_index("series")
    assert frame["seconds"].to_dict() == {"pgd_at": 60.0, "trades": 60.0}
    assert frame.loc["pgd_at", ["robust", "seeds"]].tolist() == [pytest.approx(0.6), 2]
    assert draw_training_cost(frame.reset_index()).axes[0].get_xlabel().startswith("training time (seconds")
    with pytest.raises(UserError, match="no completed trial"):
        prepare_training_cost(frames(point("pgd_at", 0.5, status="running")))


def test_the_gap_against_any_key():
    frame = prepare_generalization_gap(GRID, by="optim.lr")
    assert set(frame["key"]) == {"optim.lr"}
    assert frame[frame["kind"] == "robust"]["gap"].tolist() == pytest.approx([0.5] * 3)
    assert draw_generalization_gap(frame).axes[0].get_xlabel() == "optim.lr"
    assert set(prepare_gap_by_key(GRID)["key"]) == {"optim.lr"}
    words = prepare_gap_by_key(GRID, by="optim.name")
    assert words["at"].tolist() == ["sgd", "sgd", "sgd", "sgd", "adam", "adam"]
    labels = [text.get_text() for text in draw_generalization_gap(words).axes[0].get_xticklabels()]
    assert labels == ["sgd", "adam"]
    with pytest.raises(UserError, match=r"'optim\.lx' is no key of the trials' configs; did you mean optim\.lr"):
        prepare_generalization_gap(GRID, by="optim.lx")
    with pytest.raises(UserError, match=r"model\.width is 8 in each completed trial; name a key that differs, as o"):
        prepare_gap_by_key(frames(*CONSTANT, swept=("model.width", "optim.lr")), by="model.width")
    constant = prepare_generalization_gap(frames(*CONSTANT, swept=("optim.lr",)), by="model.width")
    assert notes_of(constant) == ("model.width is 8 in each completed trial",)
    with pytest.raises(UserError, match="sweeps no key beside the objective"):
        prepare_gap_by_key(frames(point("pgd_at", 0.5), swept=("objective",)))


def test_every_figure_of_the_paper_has_an_entry():
    told = " ".join(FIGURES[name].source for name in FIGURES)
    for figure in (
        "2a",
        "2c",
        "3a",
        "3b",
        "4a",
        "4b",
        "Fig. 5",
        "6a",
        "6b",
        "6c",
        "Fig. 7",
        "A.6",
        "A.9",
        "C.1",
        "C.2",
    ):
        assert figure in told
    for name in FIGURES:
        assert isinstance(FIGURES[name].load(), Figure)


def test_a_figure_by_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("analysis.figures.base.load_frames", lambda sweep: GRID)
    figure = FIGURES["gap_by_key"].load()
    monkeypatch.setattr(sys, "argv", ["gap", "DIR/N", "--by", "optim.lr", "--to", "gap.svg"])
    alone(figure, "gap_by_key")
    assert "<svg" in (tmp_path / "gap.svg").read_text()
    monkeypatch.setattr(sys, "argv", ["gap", "DIR/N", "--to", "gap.csv"])
    alone(figure, "gap_by_key")
    assert (tmp_path / "gap.csv").read_text().startswith("series,key,at,kind,gap")
    assert capsys.readouterr().out == "gap.svg\ngap.csv\n"
    monkeypatch.setattr(sys, "argv", ["gap", "DIR/N", "--to", "gap.gif"])
    with pytest.raises(SystemExit, match=r"'gap\.gif' names no format; end it with png, svg, pdf or csv"):
        alone(figure, "gap_by_key")
    monkeypatch.setattr(sys, "argv", ["gap", "DIR/N", "--to", "nowhere/gap.png"])
    with pytest.raises(SystemExit, match=r"--to: nowhere/gap\.png cannot be written; name a file in a folder that is"):
        alone(figure, "gap_by_key")


def test_every_module_of_figures_is_a_command():
    modules = {entry.factory.partition(":")[0] for entry in FIGURES.values()}
    for module in modules:
        text = Path(import_module(module).__file__).read_text(encoding="utf-8")
        assert 'if __name__ == "__main__":' in text, f"python -m {module} would do nothing"


def test_a_module_of_a_figure_is_a_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "analysis.figures.generalization_gap", str(tmp_path / "none")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is no sweep" in done.stderr
    several = subprocess.run(
        [sys.executable, "-m", "analysis.figures.gradients"], capture_output=True, text=True, check=False
    )
    assert several.returncode == 1
    assert "{gradient_norms,gradient_ratio,gradient_stability,gradient_cosine} DIR/N" in several.stderr


def test_a_switch_is_a_word_on_the_axis():
    values = {"train_natural_accuracy": [0.9], "train_robust_accuracy": [0.9], "test_natural_accuracy": [0.5],
              "test_robust_accuracy": [0.5]}  # fmt: skip
    made = frames(*(("pgd_at", {"data.flip": flip}, values) for flip in (False, True)), swept=["data.flip"])
    figure = draw_generalization_gap(prepare_generalization_gap(made, "data.flip"))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["False", "True"]
