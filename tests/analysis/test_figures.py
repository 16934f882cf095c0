"""The numbers behind the figures, from tables small enough to work out by hand."""

import json

import pandas as pd
import pytest

from analysis.figures.early_stopping import draw_early_stopping, prepare_early_stopping
from analysis.figures.generalization_gap import draw_generalization_gap, prepare_generalization_gap
from analysis.figures.memorization_curves import draw_memorization_curves, prepare_memorization_curves
from analysis.figures.pareto_front import draw_pareto_front, prepare_pareto_front
from analysis.frames import Frames, add_series, final_epochs, join
from analysis.style import render
from tune_at.config.scheduler import FIFO, PBT, Median
from tune_at.errors import UserError


def frames(cases):
    """`cases`: (objective, noise rate, seed, status, [(train natural, train robust, test natural, test robust), …]).

    An objective is a name, or a name and beta.
    """
    trials, epochs = [], []
    for number, (objective, rate, seed, status, values) in enumerate(cases):
        name, _, beta = objective.partition(" ")
        section = {"name": name, "beta": float(beta)} if beta else {"name": name}
        config = {"objective": section, "data": {"noise_rate": rate}, "seed": seed, "train": {"epochs": 2}}
        trial = f"{number:02d}"
        row = {"trial": trial, "seed": seed, "status": status, "epochs": 2, "best_epoch": 1}
        trials.append({**row, "config": json.dumps(config)})
        for epoch, four in enumerate(values, 1):
            names = ("train_natural", "train_robust", "test_natural", "test_robust")
            measured = {f"{name}_accuracy": value for name, value in zip(names, four, strict=True)}
            epochs.append({"trial": trial, "epoch": epoch, **measured})
    return Frames(*join(pd.DataFrame(trials), pd.DataFrame(epochs)))


CASES = frames(
    [
        ("pgd_at", 0.0, 0, "completed", [(0.5, 0.4, 0.5, 0.3), (0.9, 0.8, 0.7, 0.5)]),
        ("pgd_at", 0.0, 1, "completed", [(0.7, 0.6, 0.5, 0.3), (1.0, 0.8, 0.7, 0.3)]),
        ("pgd_at", 1.0, 0, "completed", [(0.1, 0.1, 0.1, 0.1), (0.2, 0.1, 0.1, 0.1)]),
        ("trades", 1.0, 0, "completed", [(0.4, 0.2, 0.1, 0.0), (None, None, None, None)]),
        ("trades", 1.0, 1, "diverged", [(0.9, 0.9, 0.9, 0.9), (0.9, 0.9, 0.9, 0.9)]),
    ]
)


def test_join_puts_every_config_leaf_beside_each_epoch():
    assert len(CASES.epochs) == 10
    assert {"objective.name", "data.noise_rate", "seed", "train.epochs", "status"} <= set(CASES.epochs.columns)


def test_final_is_the_last_evaluated_epoch_of_completed_trials():
    final = final_epochs(CASES.epochs)
    assert final[["trial", "epoch"]].to_numpy().tolist() == [["00", 2], ["01", 2], ["02", 2], ["03", 1]]


def test_gap_is_train_minus_test_with_spread_over_seeds():
    frame = prepare_generalization_gap(CASES).set_index(["series", "at", "kind"])
    robust = frame.loc[("pgd_at", 0.0, "robust")]
    assert robust["gap"] == pytest.approx((0.3 + 0.5) / 2)
    assert robust["spread"] == pytest.approx(0.1 * 2**0.5)  # two values 0.2 apart, ddof 1
    assert robust["seeds"] == 2
    assert frame.loc[("pgd_at", 0.0, "natural"), "gap"] == pytest.approx((0.2 + 0.3) / 2)
    single = frame.loc[("trades", 1.0, "natural")]
    assert (single["gap"], single["seeds"]) == (pytest.approx(0.3), 1)
    assert single["spread"] != single["spread"]
    assert len(frame) == 6


def test_an_average_over_seeds_is_none_over_other_keys():
    four = [(0.9, 0.8, 0.7, 0.5)]
    other = [(0.1, 0.1, 0.1, 0.1)]
    mixed = frames([("trades 1", 0.0, 0, "completed", four), ("trades 6", 0.0, 0, "completed", other)])
    frame = prepare_memorization_curves(mixed)
    assert set(frame["series"]) == {"trades, beta 1", "trades, beta 6"}
    assert sorted(frame["value"]) == [0.1, 0.1, 0.8, 0.9]
    gaps = prepare_generalization_gap(mixed)
    assert gaps["spread"].isna().all()
    figure = draw_memorization_curves(frame)
    assert [axis.get_title() for axis in figure.axes] == ["(a) TRADES, beta 1", "(b) TRADES, beta 6"]


def test_curves_average_over_seeds():
    frame = prepare_memorization_curves(CASES).set_index(["series", "noise_rate", "epoch", "kind"])
    assert frame.loc[("pgd_at", 0.0, 1, "natural"), "value"] == pytest.approx(0.6)
    assert frame.loc[("pgd_at", 0.0, 2, "robust"), "value"] == pytest.approx(0.8)
    assert frame.loc[("pgd_at", 0.0, 2, "robust"), "seeds"] == 2


@pytest.mark.parametrize(
    ("prepare", "draw"),
    [
        (prepare_memorization_curves, draw_memorization_curves),
        (prepare_generalization_gap, draw_generalization_gap),
    ],
)
def test_figures_have_labelled_axes_and_a_legend(prepare, draw):
    figure = draw(prepare(CASES))
    assert [axis.get_title() for axis in figure.axes] == ["(a) PGD-AT", "(b) TRADES"]
    assert all(axis.get_xlabel() for axis in figure.axes)
    assert "accuracy" in figure.axes[0].get_ylabel()
    assert figure.legends
    assert render(figure).startswith(b"\x89PNG")


def test_a_sweep_that_cannot_answer_says_why():
    unmeasured = frames([("pgd_at", 0.0, 0, "completed", [(None, None, 0.5, 0.5)])])
    with pytest.raises(UserError, match=r"set evaluation\.train_samples"):
        prepare_memorization_curves(unmeasured)
    untested = frames([("pgd_at", 0.0, 0, "completed", [(0.6, 0.5, None, None)])])
    with pytest.raises(UserError, match=r"has no test split; a folder of images can have one with data\.val=test"):
        prepare_generalization_gap(untested)
    with pytest.raises(UserError, match=r"train again with evaluation\.train_samples above 0"):
        prepare_generalization_gap(unmeasured)
    with pytest.raises(UserError, match="no trial is completed yet; let the sweep finish"):
        prepare_generalization_gap(frames([("pgd_at", 0.0, 0, "running", [(0.1, 0.1, 0.5, 0.5)])]))


def searched(cases, scheduler=None, swept=()):
    """`cases`: (status, best epoch, [(validation natural, validation robust), …], {epoch: action}, swept values).

    An action may be (action, source, changes).
    """
    trials, epochs, decisions = [], [], []
    for number, (status, best, values, actions, *point) in enumerate(cases):
        trial = f"{number:04d}"
        config = {"objective": {"name": "trades"}, "train": {"selection": "validation"}, "seed": 0}
        for path, value in zip(swept, *point, strict=True) if swept else ():
            section, key = path.split(".")
            config.setdefault(section, {})[key] = value
        row = {"trial": trial, "seed": 0, "status": status, "best_epoch": best, "epochs": len(values)}
        trials.append({**row, "config": json.dumps(config)})
        for epoch, (natural, robust) in enumerate(values, 1):
            measured = {"val_natural_accuracy": natural, "val_robust_accuracy": robust}
            epochs.append({"trial": trial, "epoch": epoch, **measured})
        for epoch, action in actions.items():
            named = (action, None, None) if isinstance(action, str) else action
            found = dict(zip(("action", "source", "changes"), named, strict=True))
            decisions.append({"trial": trial, "epoch": epoch, **found})
    joined = join(pd.DataFrame(trials), pd.DataFrame(epochs))
    return Frames(*joined, pd.DataFrame(decisions), scheduler or FIFO(), tuple(swept))


SEARCHED = searched(
    [
        ("completed", 2, [(0.5, 0.4), (0.9, 0.5), (0.9, 0.4)], {1: "continue", 3: "completed"}),
        ("completed", 1, [(0.8, 0.6), (0.9, 0.5), (1.0, 0.1)], {1: "continue", 3: "completed"}),
        ("completed", 3, [(0.1, 0.1), (None, None), (0.85, 0.5)], {1: "continue"}),
        ("stopped", 1, [(0.99, 0.99)], {1: "stop"}),
        ("diverged", None, [(0.2, 0.1)], {}),
    ]
)


def test_the_front_is_what_no_other_trial_beats_in_both():
    frame = prepare_pareto_front(SEARCHED).set_index("trial")
    assert frame["front"].to_dict() == {
        "0001": True,
        "0002": False,
        "0000": True,
    }  # 0000 beats 0002; stopped ones are out
    assert frame.loc["0000", ["natural", "robust"]].tolist() == [0.9, 0.5]
    figure = draw_pareto_front(prepare_pareto_front(SEARCHED))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "front", "TRADES", "TRADES, on the front",
    ]  # fmt: skip
    assert render(figure).startswith(b"\x89PNG")
    with pytest.raises(UserError, match="every trial was stopped: none is completed; the figure early_stopping"):
        prepare_pareto_front(searched([("stopped", 1, [(0.5, 0.4)], {1: "stop"})]))


def test_a_front_leaves_out_what_failed_to_learn_and_says_so():
    accuracies = [(0.9 + i / 100, 0.6 - i / 100) for i in range(8)]
    frame = pd.DataFrame([*accuracies, (0.2, 0.1)], columns=["natural", "robust"])
    frame["front"], frame["objective"] = [True] * 8 + [False], "trades"
    axis = draw_pareto_front(frame).axes[0]
    assert axis.get_title() == "1 of 9 trials left out, far below"
    assert axis.get_xlim()[0] > 80
    assert draw_pareto_front(frame[:8]).axes[0].get_title() == ""


def legend(figure):
    return {text.get_text() for text in figure.legends[0].get_texts()}


def test_early_stopping_shows_each_trial_as_far_as_it_ran_and_the_decisions():
    frame = prepare_early_stopping(SEARCHED)
    assert len(frame) == 10  # an epoch without evaluation is left out
    assert frame.groupby("trial")["action"].count().to_dict() == {"0000": 2, "0001": 2, "0002": 1, "0003": 1, "0004": 0}
    figure = draw_early_stopping(frame)
    axis = figure.axes[0]
    assert axis.get_title() == "5 trials, 1 stopped early, 10 evaluated epochs"
    assert legend(figure) == {"ran to its end", "stopped early", "diverged"}
    assert render(figure).startswith(b"\x89PNG")
    without = Frames(SEARCHED.trials, SEARCHED.epochs)
    assert prepare_early_stopping(without)["action"].isna().all()


def test_early_stopping_shows_the_metric_that_the_scheduler_judged():
    natural = searched(
        [("completed", 2, [(0.5, 0.4), (None, None), (0.9, 0.5), (0.8, 0.1)], {}), ("running", 1, [(0.3, 0.2)], {})],
        Median(metric="val_natural_accuracy", smooth=2),
    )
    frame = prepare_early_stopping(natural)
    assert frame["value"].tolist() == pytest.approx([0.5, 0.7, 0.85, 0.3])  # means of two, over the gap
    assert frame["epoch"].tolist() == [1, 3, 4, 1]
    assert set(zip(frame["split"], frame["metric"], frame["smooth"], strict=True)) == {("val", "natural_accuracy", 2)}
    figure = draw_early_stopping(frame)
    assert figure.axes[0].get_ylabel() == "natural accuracy, validation split (%)\nmean of the last 2 evaluations"
    assert legend(figure) == {"ran to its end", "not ended yet"}
    assert figure.axes[0].get_xlabel() == "epoch"  # nobody was judged
    trials, epochs = natural.trials, natural.epochs.rename(columns={"val_natural_accuracy": "val_robust_loss"})
    loss = draw_early_stopping(prepare_early_stopping(Frames(trials, epochs, scheduler=Median(metric="robust_loss"))))
    assert loss.axes[0].get_ylabel() == "robust loss, validation split"
    assert max(loss.axes[0].lines[0].get_ydata()) == 0.9  # no per cent


def test_early_stopping_tells_complete_runs_that_were_promoted_from_those_that_were_not():
    runs = searched(
        [
            ("completed", 2, [(0.5, 0.4), (0.6, 0.5)], {2: "promote"}),
            ("completed", 2, [(0.5, 0.2), (0.6, 0.1)], {2: "stop"}),
            ("completed", 4, [(0.5, 0.4), (0.6, 0.5), (0.7, 0.6), (0.8, 0.7)], {4: "completed"}),
        ]
    )
    figure = draw_early_stopping(prepare_early_stopping(runs))
    assert figure.axes[0].get_title() == "3 trials, 1 promoted, 8 evaluated epochs"
    assert legend(figure) == {"ran to its end", "complete run, promoted", "complete run, not promoted"}
    ends = {line.get_marker(): line.get_ydata()[-1] for line in figure.axes[0].lines if line.get_marker() in ("^", "o")}
    assert ends == pytest.approx({"^": 50.0, "o": 10.0})


def test_early_stopping_marks_exploits():
    changes = json.dumps({"optim.lr": 0.2})
    population = searched(
        [
            ("completed", 4, [(0.5, 0.4), (0.6, 0.5), (0.7, 0.6), (0.8, 0.7)], {2: "continue"}),
            ("completed", 4, [(0.5, 0.2), (0.6, 0.1), (0.7, 0.6), (0.8, 0.7)], {2: ("exploit", "0000", changes)}),
        ],
        PBT(every=2),
    )
    frame = prepare_early_stopping(population)
    marked = frame[frame["action"] == "exploit"]
    assert marked[["trial", "epoch", "source", "changes"]].to_numpy().tolist() == [["0001", 2, "0000", changes]]
    figure = draw_early_stopping(frame)
    axis = figure.axes[0]
    assert axis.get_title() == "2 trials, 1 exploit, 8 evaluated epochs"
    assert "exploit: goes on from another's weights" in legend(figure)
    points = next(line for line in axis.lines if line.get_marker() == "^")
    assert (list(points.get_xdata()), list(points.get_ydata())) == ([2], [10.0])


def test_rungs_stand_alone_at_whole_epochs():
    axis = draw_early_stopping(prepare_early_stopping(SEARCHED)).axes[0]
    axis.figure.canvas.draw()
    assert all(tick == int(tick) for tick in axis.get_xticks())
    assert not any(line.get_visible() for line in axis.get_xgridlines())  # they would hide the dotted lines
    assert [list(line.get_xdata()) for line in axis.lines[:2]] == [[1, 1], [3, 3]]
    assert axis.get_xlabel() == "epoch (dotted: trials are judged)"
    assert axis.get_legend() is None  # it stands below, where it covers no line


def test_the_fronts_numbers_have_the_swept_values_at_the_best_epoch():
    changes = json.dumps({"optim.lr": 0.123456789012, "objective.beta": 2.5})
    later = json.dumps({"optim.lr": 0.4, "objective.beta": 4.5})
    population = searched(
        [
            ("completed", 2, [(0.5, 0.4), (0.6, 0.5), (0.7, 0.3)], {1: "continue"}, [1 / 3, 6.0]),
            (
                "completed", 2, [(0.5, 0.2), (0.7, 0.6), (0.7, 0.5)],
                {1: ("exploit", "0000", changes), 2: ("exploit", "0000", later)}, [0.1, 1.0],
            ),
        ],
        PBT(mutations={"optim.lr": {"uniform": [0, 1]}, "objective.beta": {"uniform": [1, 6]}}),
        ["optim.lr", "objective.beta"],
    )  # fmt: skip
    frame = prepare_pareto_front(population).set_index("trial")
    assert frame[["optim.lr", "objective.beta"]].to_numpy().tolist() == [[1 / 3, 6.0], [0.123456789012, 2.5]]
    assert "0.3333333333333333" in frame.to_csv()
    only_lr = Frames(population.trials, population.epochs, population.decisions, population.scheduler, ("optim.lr",))
    assert prepare_pareto_front(only_lr)["objective.beta"].tolist() == [6.0, 2.5]  # mutated, though not swept


def test_a_series_is_told_by_a_sections_name_and_not_by_keys_that_others_lack():
    models = [{"name": "wrn-10-1", "dropout": 0.0}, {"name": "vgg16"}, {"name": "wrn-10-1", "dropout": 0.2}]
    rows = [
        {"trial": str(n), "config": json.dumps({"objective": {"name": "pgd_at"}, "model": model})}
        for n, model in enumerate(models)
    ]
    trials, _ = join(pd.DataFrame(rows), pd.DataFrame({"trial": ["0"], "epoch": [1]}))
    assert list(add_series(trials, [])["series"]) == [
        "pgd_at, wrn-10-1, dropout 0", "pgd_at, vgg16", "pgd_at, wrn-10-1, dropout 0.2",
    ]  # fmt: skip
    assert list(add_series(trials[:2], ["model.name"])["series"]) == ["pgd_at", "pgd_at"]
