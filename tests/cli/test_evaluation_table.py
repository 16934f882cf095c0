"""What `evaluate` prints of accuracies that are given: means over seeds, what is missing, what should give pause."""

import json

import pytest

from analysis.robustness import Accuracy
from tune_at.cli.evaluation_table import Evaluated, tables, warnings
from tune_at.config.trial import TrialConfig
from tune_at.recording.evaluation_plan import Target
from tune_at.study.comparison import Comparison
from tune_at.study.points import arrange
from tune_at.study.trials import Trial

CONFIG = TrialConfig.parse({"attack": {"eps": "8/255"}})
EPOCHS = {"best": 3, "final": 9}


def evaluated(accuracies, attacks=("pgd-10",), seeds=2, stages=None, groups=None, eps=8 / 255):
    """Of trials by name, checkpoints and attacks: (natural, robust), in per cent.

    Trials stand in the order of their points, seeds innermost; `stages` and `groups` are theirs, one each.
    """
    names = list(accuracies)
    targets, known = [], {}
    for name, checkpoints in accuracies.items():
        for asked, cells in checkpoints.items():
            stored = "best" if asked == "best" else f"epoch-{EPOCHS[asked]:06d}"
            targets.append(Target(Trial(name, CONFIG, {}), asked, stored, EPOCHS[asked]))
            for attack, (natural, robust) in cells.items():
                settings = json.dumps({"eps": eps})
                cell = Accuracy(200, natural / 100, robust / 100, settings)
                known[name, stored, EPOCHS[asked], attack] = cell
    stages = stages or ["main"] * len(names)
    rows = [
        {"trial": name, "stage": stage, "status": "completed", "score": -place // seeds}
        for place, (name, stage) in enumerate(zip(names, stages, strict=True))
    ]
    comparison = Comparison((), tuple(groups or [0] * len(names)), ())
    ranking = arrange(rows, comparison, [place // seeds for place in range(len(names))], seeds)
    return Evaluated(targets, attacks, "test", known, ranking, seeds)


def cells(table):
    """The lines of a table, without what pads them."""
    return [
        tuple(column[line] for column in map(list, (c.cells for c in table.columns))) for line in range(table.row_count)
    ]


def both(best, final):
    return {"best": {"pgd-10": best}, "final": {"pgd-10": final}}


def test_a_line_a_checkpoint_and_means_over_seeds():
    of_trials, of_points = tables(
        evaluated({"00-pgd_at-s0": both((80, 50), (82, 40)), "01-pgd_at-s1": both((84, 54), (82, 44))}), None
    )
    assert cells(of_trials) == [
        ("00-pgd_at-s0", "best (3)", "80.0", "50.0"), ("00-pgd_at-s0", "final (9)", "82.0", "40.0"),
        ("01-pgd_at-s1", "best (3)", "84.0", "54.0"), ("01-pgd_at-s1", "final (9)", "82.0", "44.0"),
    ]  # fmt: skip
    assert of_trials.caption == "accuracy in % on 200 images of test"
    assert cells(of_points) == [
        ("pgd_at", "best", "2", "82.0 ± 2.8", "52.0 ± 2.8"), ("pgd_at", "final", "2", "82.0 ± 0.0", "42.0 ± 2.8"),
    ]  # fmt: skip


def test_what_is_missing_is_told_from_what_is_there():
    whole, lacks = {"best": {"pgd-10": (80, 50), "cw-10": (80, 40)}}, {"best": {"pgd-10": (70, 60)}}
    given = {"00-pgd_at-s0": whole, "01-pgd_at-s1": lacks, "02-sat-s0": {"best": {}}}
    given["03-sat-s1"] = given["02-sat-s0"]
    of_trials, of_points = tables(evaluated(given, ("pgd-10", "cw-10")), None)
    assert [line[2:] for line in cells(of_trials)] == [
        ("80.0", "50.0", "40.0"), ("70.0", "60.0", "-"), ("-", "-", "-"), ("-", "-", "-"),
    ]  # fmt: skip
    assert cells(of_points) == [
        ("pgd_at", "best", "1 of 2", "75.0 ± 7.1", "55.0 ± 7.1", "40.0"), ("sat", "best", "0 of 2", "-", "-", "-"),
    ]  # fmt: skip
    assert tables(evaluated({"00-pgd_at-s0": {"best": {}}}, seeds=1), None)[0].caption is None


def test_points_of_two_stages_with_one_name_are_told_apart():
    """Stages that change what is no axis have points of one name; so have table A.1's rows with several seeds."""
    given = {f"0{place}-noise_rate=0-s{place % 2}": both((80, 50 + place), (80, 40 - place)) for place in range(4)}
    shown = evaluated(given, stages=["plain", "plain", "dropout", "dropout"])
    assert [line[0] for line in cells(tables(shown, None)[1])] == [
        "noise_rate=0 (plain)", "noise_rate=0 (plain)", "noise_rate=0 (dropout)", "noise_rate=0 (dropout)",
    ]  # fmt: skip
    lines = [line for line in warnings(shown) if "rank differently" in line]
    assert lines == [
        "warning: pgd-10: best and final rank differently: noise_rate=0 (dropout) before noise_rate=0 (plain) at the"
        " best checkpoint (52.5 and 50.5%), behind it at the final one (37.5 and 39.5%)"
    ]


def test_only_points_that_are_compared_rank_differently():
    given = {"00-eps=8_255-s0": both((80, 50), (80, 30)), "01-eps=16_255-s0": both((80, 40), (80, 35))}
    (line,) = (line for line in warnings(evaluated(given, seeds=1)) if "rank differently" in line)
    assert "00-eps=8/255-s0 before 01-eps=16/255-s0 at the best checkpoint (50.0 and 40.0%), behind it" in line
    assert not any("rank differently" in line for line in warnings(evaluated(given, seeds=1, groups=[0, 1])))
    alone = {name: {"best": cells["best"]} for name, cells in given.items()}
    assert not any("rank differently" in line for line in warnings(evaluated(alone, seeds=1)))


def test_means_of_other_seeds_do_not_rank_differently():
    given = {
        f"0{place}-{name}-s{place % 2}": both((80, best), (80, end))
        for place, (name, best, end) in enumerate([("a", 60, 40), ("a", 40, 40), ("b", 40, 60), ("b", 45, 60)])
    }
    assert any("rank differently" in line for line in warnings(evaluated(given)))
    del given["01-a-s1"]["best"]["pgd-10"]  # whose seed is weaker
    assert not any("rank differently" in line for line in warnings(evaluated(given)))


def test_masked_gradients_and_other_radii_are_said():
    attacks = ("pgd-1000", "autoattack")
    given = {"00-trades-s0": {"best": {"pgd-1000": (90, 52.8), "autoattack": (90, 40.4)}}}
    lines = warnings(evaluated(given, attacks, seeds=1, eps=4 / 255))
    assert lines == [
        "warning: 00-trades-s0, best: autoattack finds far more than pgd-1000 (40.4% against 52.8%): gradients are"
        " masked; trust autoattack alone",
        "note: pgd-1000: eps is 4/255, and 8/255 in the training of 1 trial",
        "note: autoattack: eps is 4/255, and 8/255 in the training of 1 trial",
    ]
    assert warnings(evaluated({"00-trades-s0": {"best": {}}}, seeds=1)) == [
        "note: without autoattack it does not show whether gradients are masked"
    ]


@pytest.mark.parametrize(("eps", "shown"), [(8 / 255, None), (0.1, "0.1"), (0.0, "0")])
def test_a_radius_is_a_fraction_where_it_is_one(eps, shown):
    given = {"00-trades-s0": {"best": {"pgd-10": (90, 50)}}}
    lines = [line for line in warnings(evaluated(given, seeds=1, eps=eps)) if "eps is" in line]
    assert lines == ([f"note: pgd-10: eps is {shown}, and 8/255 in the training of 1 trial"] if shown else [])
