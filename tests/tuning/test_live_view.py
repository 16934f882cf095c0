"""The live view of a sweep, at the widths that terminals have."""

import io
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from tune_at.scheduling.board import Decision, TrialState
from tune_at.store.status import Status
from tune_at.study.cost import TrialCost, rough_cost
from tune_at.study.forecast import Forecast
from tune_at.study.study import Study
from tune_at.tuning.live_tables import Stop
from tune_at.tuning.live_view import SweepProgress
from tune_at.wording import trial_label

STUDY = """\
title: Live
base: {data: {subset: 64}, objective: trades, train: {epochs: 80, batch_size: 32}}
axes: {objective.beta: [1, 6]}
"""


@pytest.fixture
def view(tmp_path):
    """A function (study, columns of the terminal or None) → SweepProgress of its trials."""

    def make(text=STUDY, width=120):
        path = tmp_path / "live.yaml"
        path.write_text(text)
        study = Study.resolve(str(path))
        console = Console(file=io.StringIO(), width=width or 200, force_terminal=width is not None, color_system=None)
        cost = rough_cost(study.samples()[0].config)
        return SweepProgress(study, study.trials(), {}, console, Forecast({}, cost, 1, known=False))

    return make


def report(view, trial, epoch, robust, status="running", **others):
    times = {"train_seconds": 1.0, "evaluation_seconds": 0.0}
    metrics = {"val_natural_accuracy": 0.9, "val_robust_accuracy": robust, "train_natural_accuracy": 0.95}
    view.result({"trial": trial, "epoch": epoch, "status": status, **times, **metrics, **others})


def lines(view):
    view.console.file = io.StringIO()
    view.console.print(view.render())
    out = view.console.file.getvalue().splitlines()
    assert all(cell_len(line) <= view.console.width for line in out)
    return [line.rstrip() for line in out]


def best(view):
    found = lines(view)
    starts = [number for number, line in enumerate(found) if line.startswith("best ")]
    return [line.split() for line in found[starts[0] :] if line.strip()] if starts else []


def test_the_best_epoch_does_not_look_like_progress(view):
    shown = view()
    first, second = shown.views
    shown.started(first)
    report(shown, first, 8, 0.6)
    report(shown, first, 9, 0.5)
    out = lines(shown)
    assert any("9/80" in line for line in out)
    assert not any("8/80" in line for line in out)
    assert best(shown)[2][1:3] == ["epoch", "8"]
    report(shown, second, 3, 0.7, "completed")
    assert [row[0] for row in best(shown)[2:]] == [second, first]


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_what_diverged_or_failed_is_not_among_the_best(view, status):
    shown = view()
    first, second = shown.views
    report(shown, first, 1, 0.9)
    report(shown, second, 1, 0.4)
    if status == "diverged":
        report(shown, first, 2, 0.1, status)
    else:
        shown.failed({"trial": first, "error": "boom", "log": "l"}, {}, 1)
    assert [row[0] for row in best(shown)[2:]] == [second]


def test_a_grid_over_the_ball_has_a_best_for_each_or_none(view):
    shown = view(STUDY.replace("axes: {", "axes: {attack.eps: [8/255, 16/255], "))
    small, small_too, large, large_too = shown.views
    report(shown, small, 1, 0.9)
    report(shown, large, 1, 0.5)
    assert best(shown) == []  # each has its own ball
    report(shown, small_too, 1, 0.8)
    report(shown, large_too, 1, 0.6)
    table = best(shown)
    assert table[0][-3:] == ["for", "each", "attack.eps"]
    assert [row[0] for row in table[2:]] == [trial_label(small), trial_label(large_too)]


def test_a_point_is_the_mean_over_its_seeds(view):
    shown = view(STUDY + "seeds: [0, 1]\n")
    for trial, robust in zip(shown.views, (0.9, 0.5, 0.8, 0.7), strict=True):
        report(shown, trial, 1, robust)
    better, worse = best(shown)[2:]
    assert better[1:3] == ["2", "seeds"]
    assert better[-3:] == ["75.0%", "±", "7.1%"]
    assert worse[-3:] == ["70.0%", "±", "28.3%"]


STAGED = """\
title: Live
base: {data: {subset: 64}, train: {epochs: 80, batch_size: 32}}
stages: {teachers: {objective: [standard, pgd_at]}, students: {objective: kd_swa}}
"""


def test_stages_are_visible_with_and_without_a_terminal(view):
    shown = view(STAGED)
    teacher, *_, student = shown.views
    shown.started(teacher)
    shown.started(student)
    rows = [line.split() for line in lines(shown)]
    assert [teacher, "teachers"] in [row[:2] for row in rows]
    assert [student, "students"] in [row[:2] for row in rows]
    piped = view(STAGED, None)
    report(piped, student, 80, 0.4, "completed")
    assert f"completed {student} (students) after 80 epochs" in piped.console.file.getvalue()


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40])
def test_no_name_is_wrapped_at_any_width(view, width):
    long = "objective.beta: [1, 6], optim.lr: [0.0123, 0.1], optim.weight_decay: [5.0e-4, 0.001], attack.steps: [3, 10]"
    shown = view(STUDY.replace("objective.beta: [1, 6]", long), width)
    for trial in list(shown.views)[:3]:
        shown.started(trial)
        report(shown, trial, 12, 0.5)
    out = lines(shown)
    for trial in list(shown.views)[:3]:
        (row,) = (line for line in out if line.split()[:1] and line.split()[0][:3] == trial[:3] and "12/80" in line)
        assert row.split()[-1] == "50.0%"  # what is searched for is the last to go
    assert len([line for line in out if line.strip()]) <= 3 + 2 * (2 + 3) + (width == 40) * 2


def test_a_view_goes_on_from_an_earlier_run(view):
    shown = view()
    first, _ = shown.views
    state = TrialState(0, shown.views[first].trial, status=Status.COMPLETED)
    for epoch, (natural, robust) in enumerate([(0.9, 0.4), (0.8, 0.5), (0.9, 0.5), (0.9, 0.5)], 1):
        metrics = {"natural_accuracy": natural, "robust_accuracy": robust, "natural_loss": 1.0, "robust_loss": 1.0}
        state.report(epoch, {f"val_{metric}": value for metric, value in metrics.items()})
    shown.recall([state])
    assert best(shown)[2][:3] == [first, "epoch", "3"]  # of equal ones the higher natural accuracy, then the earlier
    assert best(shown)[2][-2:] == ["90.0%", "50.0%"]


def test_what_is_left_begins_at_what_was_announced_and_learns(view, monkeypatch):
    from tune_at.tuning import live_view

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(live_view, "time", clock)
    shown = view(width=None)
    cost = TrialCost(start=0.0, training=1.0, evaluation=0.0, epochs=80, every=1)  # each of two trials: 80 s
    shown.forecast = Forecast(dict.fromkeys(shown.views, cost), cost, at_once=1)
    assert shown.forecast.left(dict.fromkeys(shown.views, 0)) == 160
    assert shown.time_left() == "about 3 min left"
    first, second = shown.views
    shown.started(first)
    for epoch in range(1, 81):  # each takes two seconds instead of one
        clock.now += 2.0
        report(shown, first, epoch, 0.5, "completed" if epoch == 80 else "running", train_seconds=2.0)
    left = shown.forecast.left({second: 0})
    assert 130 < left < 160  # 160 in truth, and 80 as announced
    shown.started(second)
    clock.now += 1000  # it waits for another trial's result, which is no work
    report(shown, second, 1, 0.5, train_seconds=2.0)
    assert shown.forecast.left({second: 1}) < 165
    report(shown, second, 40, 0.5, history=[{"epoch": 39}])  # came back, and has run none of these now
    assert shown.forecast.left({second: 40}) < 85


SEARCHED = """\
title: Live
base: {data: {subset: 64}, train: {epochs: 80, batch_size: 32}, objective: trades}
axes: {objective.beta: [1.5, 2.5, 3.5, 4.5, 5.5, 6.5], optim.weight_decay: [1.0e-4, 5.0e-4]}
scheduler: {name: asha, grace: 5}
"""


def stop(shown, name, epoch, value, cutoff, rung=None, bracket=0):
    """The scheduler stops a trial."""
    state = TrialState(0, shown.views[name].trial, status=Status.RUNNING, epoch=epoch)
    state.decide(Decision(epoch, rung or epoch, value, cutoff, "stop", bracket))
    shown.follow([state])


@pytest.mark.parametrize("width", [200, 80])
def test_what_was_stopped_is_told_with_value_cutoff_and_rung(view, width):
    shown = view(SEARCHED, width)
    names = list(shown.views)
    for place, name in enumerate(names[:6]):
        shown.started(name)
        report(shown, name, 5, 0.5)
        stop(shown, name, 5, 0.5 + place / 100, 0.6, bracket=place % 2)
    out = lines(shown)
    start = out.index("stopped early: 6, the last 4")
    assert out[start + 1].split()[-4:] == ["robust", "accuracy", "cutoff", "rung"]
    newest, before = (out[start + line].split() for line in (2, 3))
    assert newest[0][:2] == names[5][:2]
    assert newest[-7:] == ["55.0%", "<", "60.0%", "5", "of", "bracket", "1"]
    assert before[-4:] == ["54.0%", "<", "60.0%", "5"]
    assert ("epoch 5" in out[start + 2]) == (width == 200)


def test_a_stop_is_one_plain_line_with_its_reason(view):
    piped = view(SEARCHED, None)
    name = next(iter(piped.views))
    report(piped, name, 5, 0.5)
    stop(piped, name, 5, 0.5, 0.6)
    (line,) = (line for line in piped.console.file.getvalue().splitlines() if "stopped" in line)
    assert line.endswith(f"stopped {name} after 5 epochs  robust accuracy 50.0% < 60.0% at rung 5")


@pytest.mark.parametrize(
    ("metric", "value", "cutoff", "expected"),
    [
        ("robust_accuracy", 0.5, 0.6, ("50.0%", "< 60.0%")),
        ("robust_accuracy", 0.77246, 0.77249, ("77.246%", "< 77.249%")),
        ("robust_accuracy", 0.5, 0.5, ("50.000%", "= 50.000%")),  # of equal ones Hyperband keeps the earlier
        ("robust_loss", 1.25, 0.75, ("1.25", "> 0.75")),
    ],
)
def test_a_value_and_its_cutoff_are_told_apart(metric, value, cutoff, expected):
    assert Stop("t", 5, 5, 0, value, cutoff).judged(metric) == expected


def test_stops_of_an_earlier_run_are_known(view):
    shown = view(SEARCHED)
    states = []
    for place, name in enumerate(list(shown.views)[:2]):
        state = TrialState(place, shown.views[name].trial)
        decided = datetime(2026, 1, 2, 3, 4 - place, tzinfo=UTC)  # the first trial was stopped last
        state.decide(Decision(5, 5, 0.5, 0.6, "stop", decided=decided))
        states.append(state)
    shown.recall(states)
    assert [found.trial for found in shown.stops] == list(shown.views)[:2]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 24), (80, 50), (80, 12)])
def test_the_view_fits_the_terminal(view, width, height):
    shown = view(SEARCHED + "seeds: [0, 1]\n", width)
    names = list(shown.views)
    for name in names:
        shown.started(name)
        report(shown, name, 5, 0.5)
    for name in names[:8]:
        stop(shown, name, 5, 0.5, 0.6)
    shown.machines = ["2 nodes, 12 of 16 CPUs, 1.5 of 2 GPUs taken", "GPU 0 (NVIDIA H100): 93% busy"]
    shown.console.height = height
    out = lines(shown)
    assert len(out) <= max(height - 1, 18)  # a row of each at the least
    assert len(out) > min(height, 32) - 5
    for title in ("running", "best val robust accuracy so far", "stopped early: 8"):
        assert any(line.startswith(title) for line in out)
    assert all(line in out for line in shown.machines)


def test_where_there_are_several_nodes_it_is_said_where_trials_run(view):
    shown = view(SEARCHED, 200)
    first, second, *_ = shown.views
    shown.started(first)
    report(shown, first, 1, 0.5, worker={"node": "alpha"})
    assert "node" not in lines(shown)[3].split()
    shown.started(second)
    report(shown, second, 1, 0.5, worker={"node": "beta"})
    rows = [line.split() for line in lines(shown)]
    assert [first, "alpha"] in [row[:2] for row in rows]
    assert [second, "beta"] in [row[:2] for row in rows]


def test_early_stopping_shortens_what_is_left_and_the_bar(view):
    shown = view(SEARCHED)
    shown.forecast = Forecast({}, TrialCost(0.0, 3600.0, 0.0, 80, 1), 1)
    assert shown.time_left() == "at most about 40.0 days left"  # 12 trials of 80 hours
    names = list(shown.views)
    for name in names[:8]:
        report(shown, name, 5, 0.5, train_seconds=3600.0)
        stop(shown, name, 5, 0.5, 0.6)
    assert shown.time_left() == "about 20.0 h left, at most 13.3 days"  # none came further: 4 x 5 of 80 epochs
    assert (shown.page().done, shown.page().planned) == (8 * 5, 8 * 5 + 4 * 80)


def test_quiet_is_quiet_but_for_failures(view, capsys):
    shown = view()
    shown.console = Console(quiet=True, force_terminal=True)
    shown.shown = False
    first, _ = shown.views
    with shown:
        report(shown, first, 1, 0.5, notes=["x"])
        shown.failed({"trial": first, "error": "boom", "log": "l"}, {}, 1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"failed: {first} (base) after epoch 1: boom\n  full log: l\n"


def test_a_long_epoch_is_not_silent(view, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("tune_at.tuning.live_view.time.monotonic", lambda: now[0])
    piped = view(width=None)

    def said():
        return piped.console.file.getvalue().splitlines()

    name = next(iter(piped.views))
    now[0] += 61
    piped.follow([])
    assert said() == []  # nothing runs yet
    piped.started(name)
    piped.follow([])
    assert len(said()) == 1 and f"1 running, 1 pending, time left unknown; {name} 0/80" in said()[0]
    for _ in range(11):
        now[0] += 5
        piped.follow([])
    assert len(said()) == 1
    now[0] += 6
    piped.follow([])
    assert len(said()) == 2 and said()[1].startswith("[02:02] ")
