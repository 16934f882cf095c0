"""What a figure says of points and keys that are not in it."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_frames import frames, point

from analysis.figures import FIGURES
from analysis.figures.generalization_gap import prepare_generalization_gap
from analysis.figures.importance import prepare_importance
from analysis.figures.parallel_coordinates import prepare_parallel_coordinates
from analysis.figures.pareto_front import prepare_pareto_front
from analysis.figures.slices import draw_slices, prepare_slices
from analysis.figures.training_cost import prepare_training_cost
from analysis.frames import load_frames
from analysis.notes import left_out, notes_of

STORES = Path(__file__).parents[1] / "stores"


def test_the_reasons_are_counted_the_most_frequent_first():
    assert left_out(["failed", "stopped", "stopped"], 5) == "2 of 5 points: 2 stopped, 1 failed"
    assert left_out([], 5) == ""


@pytest.mark.parametrize("prepare", [prepare_slices, prepare_parallel_coordinates, prepare_importance])
def test_each_key_of_a_space_is_there_though_all_draws_differ(prepare):
    draws = [(0.01 * 1.7**i, 1.0 + (5 * i) % 7) for i in range(7)]
    points = [point("trades", 0.5 + lr, optim__lr=lr, objective__beta=beta) for lr, beta in draws]
    made = frames(*points, swept=("optim.lr", "objective.beta"))
    frame = prepare(made)
    assert {"optim.lr", "objective.beta"} <= set(frame["axis" if "axis" in frame else "key"])
    assert notes_of(frame) == ()


def test_a_sweep_knows_which_keys_its_study_links_and_which_it_draws():
    made = load_frames(STORES / "v1" / "asha-finished")
    assert made.drawn == ("objective", "optim.lr")
    assert made.linked == ()
    grid = load_frames(STORES / "v1" / "grid-finished")
    assert (grid.linked, grid.drawn) == ((("objective", "objective.start"),), ())


def test_points_that_are_not_shown_are_counted_with_their_reasons():
    made = frames(
        point("pgd_at", 0.5, optim__lr=0.1), point("pgd_at", 0.6, optim__lr=0.2),
        point("pgd_at", 0.7, "stopped", optim__lr=0.3), point("pgd_at", 0.7, "stopped", optim__lr=0.4),
        point("pgd_at", 0.7, "running", optim__lr=0.5), swept=("optim.lr",),
    )  # fmt: skip
    line = "2 of 5 points: 2 stopped, 1 {}"
    for prepare in (prepare_slices, prepare_parallel_coordinates, prepare_pareto_front):
        assert notes_of(prepare(made)) == (line.format("running"),)
        assert notes_of(prepare(replace(made, live=False))) == (line.format("interrupted"),)
    assert draw_slices(prepare_slices(made)).get_suptitle() == line.format("running")
    trials = line.replace("points", "trials").format("running")
    for frame in (prepare_training_cost(made), prepare_generalization_gap(made, "optim.lr")):
        assert notes_of(frame) == (trials,)
    seeds = frames(
        point("pgd_at", 0.5, seed=0), point("pgd_at", 0.7, "failed", seed=1), point("trades", 0.6, seed=0),
        point("trades", 0.6, seed=1), point("sat", 0.6, seed=0), seeds=2, swept=("objective.name",),
    )  # fmt: skip
    (said,) = notes_of(prepare_pareto_front(seeds))
    assert said == "1 of 3 points: 1 without all of its seeds, 1 failed"


def test_curves_say_which_trials_they_leave_out():
    made = frames(point("pgd_at", 0.5), point("pgd_at", 0.6, "stopped", seed=1), seeds=2)
    for name in ("memorization_curves", "test_curves", "overfitting_curves", "noise_curves"):
        picture = FIGURES[name].load()(made)[1]
        assert picture.get_suptitle() == "1 of 2 trials: 1 stopped", name


def test_points_of_several_groups_are_said_not_to_compare():
    made = frames(
        *(point("pgd_at", 0.5 + lr + rate / 10, optim__lr=lr, data__noise_rate=rate) for rate in (0.0, 0.6)
          for lr in (0.1, 0.2, 0.3)), swept=("optim.lr", "data.noise_rate"),
    )  # fmt: skip
    for prepare in (prepare_slices, prepare_parallel_coordinates, prepare_importance):
        (said,) = notes_of(prepare(made))
        assert said == "points that differ in data.noise_rate do not compare"
