"""New best points as trials end, against the ranking that the tables at a sweep's end have."""

import math
import random
from itertools import pairwise

import pytest

from analysis.ranking import rank
from tests.support.simulation import Simulation, make_study
from tune_at.scheduling.leaders import Leaders
from tune_at.store import read_table


@pytest.mark.parametrize("seeds", ["[0]", "[0, 1, 2]"])
@pytest.mark.parametrize("scheduler", ["fifo", "{name: asha, grace: 3}"])
def test_the_last_lead_is_the_best_point_of_the_ranking(tmp_path, scheduler, seeds):
    study = make_study(tmp_path, scheduler, trials=9, epochs=9, seeds=seeds)
    simulation = Simulation(tmp_path / "s", study, 2, random.Random(0))
    leaders, leads = Leaders(study), []
    while simulation.step():
        leads += [lead for state in simulation.run.done if (lead := leaders.take(state)) is not None]
        simulation.run.done.clear()
    trials, epochs = (read_table(tmp_path / "s", table) for table in ("trials", "epochs"))
    at = epochs.dropna(subset="val_robust_accuracy").groupby("trial")["val_robust_accuracy"].idxmax()
    best_epochs = epochs.loc[at].set_index("trial")["epoch"]  # a simulated worker does not know it
    best = rank(trials.assign(best_epoch=trials["trial"].map(best_epochs)), epochs, len(study.seeds)).best(0)
    assert len(leads) > 1
    assert leads[-1].point == best.name
    assert leads[-1].mean == pytest.approx(best.score)
    assert leads[-1].spread == pytest.approx(best.spread("score"), nan_ok=True)
    assert [lead.before for lead in leads] == [None, *(lead.mean for lead in leads[:-1])]
    assert all(later.mean > lead.mean for lead, later in pairwise(leads))


def test_what_is_not_compared_has_a_best_of_its_own(tmp_path, resolve):
    text = """\
title: x
base: {data: {subset: 64}, train: {epochs: 2, batch_size: 32}}
axes: {attack.eps: [8/255, 16/255], optim.lr: [0.1, 0.2]}
"""
    simulation = Simulation(tmp_path / "s", resolve(text), 1, random.Random(0), lambda spec, epoch: 0.5)
    leaders, leads = Leaders(simulation.sweep.study), []
    while simulation.step():
        leads += [lead for state in simulation.run.done if (lead := leaders.take(state)) is not None]
        simulation.run.done.clear()
    assert [lead.before for lead in leads] == [None, None]  # one a ball; what is as good is no news
    assert len({lead.group for lead in leads}) == 2


def test_a_point_that_has_lost_a_seed_is_none(tmp_path):
    study = make_study(tmp_path, "fifo", trials=2, epochs=6, seeds="[0, 1]")

    def one_diverges(spec, epoch):
        lost = spec.trial.startswith("0000") and spec.config["seed"] == 1 and epoch > 4
        return math.nan if lost else 0.9 if spec.trial.startswith("0000") else 0.3

    simulation = Simulation(tmp_path / "s", study, 1, random.Random(0), one_diverges)
    leaders, leads = Leaders(study), []
    while simulation.step():
        leads += [lead for state in simulation.run.done if (lead := leaders.take(state)) is not None]
        simulation.run.done.clear()
    assert [(lead.mean, lead.seeds) for lead in leads] == [(pytest.approx(0.3), 2)]


def test_news_is_what_is_better_than_what_was_told(tmp_path):
    leaders = Leaders(make_study(tmp_path, "fifo"))
    leaders.best = {"a": ("one", 0.5), "b": ("two", 0.6)}
    assert leaders.news(leaders.best) == []
    (news,) = leaders.news({"a": ("one", 0.5), "b": ("old", 0.4)})
    assert (news.point, news.mean, news.before) == ("two", 0.6, 0.4)
    assert [lead.before for lead in leaders.news({})] == [None, None]


def test_runs_of_another_length_have_a_best_of_their_own(tmp_path):
    study = make_study(tmp_path, "{name: asha, fidelity: schedule, grace: 3, eta: 3}", trials=9, epochs=27)
    simulation = Simulation(tmp_path / "s", study, 1, random.Random(0))
    leaders, last = Leaders(study), {}
    while simulation.step():
        for state in simulation.run.done:
            if (lead := leaders.take(state)) is not None:
                last[state.epochs] = lead.point
        simulation.run.done.clear()
    trials, epochs = (read_table(tmp_path / "s", table) for table in ("trials", "epochs"))
    at = epochs.dropna(subset="val_robust_accuracy").groupby("trial")["val_robust_accuracy"].idxmax()
    best_epochs = epochs.loc[at].set_index("trial")["epoch"]
    ranking = rank(
        trials.assign(best_epoch=trials["trial"].map(best_epochs)), epochs, within=study.scheduler.compared_within
    )
    winners = {ranking.best(group).name for group in range(ranking.comparison.count) if ranking.best(group)}
    assert len(last) > 1
    assert {*last.values()} == winners
