"""One contract over all schedulers, and each against an oracle of its own."""

import json
import random
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from processes import results
from simulation import Simulation, make_study

from tune_at.store import query, read_table
from tune_at.store.writer import part_path

SCHEDULERS = {
    "fifo": "{name: fifo}",
    "asha": "{name: asha, grace: 1, eta: 3}",
    "asha, two brackets, smoothed": "{name: asha, grace: 1, eta: 2, brackets: 2, smooth: 3}",
    "asha by loss": "{name: asha, grace: 2, metric: natural_loss}",
    "asha, complete runs": "{name: asha, grace: 2, eta: 2, fidelity: schedule}",
    "asha, complete runs, by loss": "{name: asha, eta: 3, fidelity: schedule, metric: natural_loss, smooth: 2}",
    "hyperband": "{name: hyperband, eta: 3}",
    "median": "{name: median, grace: 2, min_trials: 3}",
    "pbt": "{name: pbt, every: 4, mutations: {optim.lr: {loguniform: [0.001, 0.5]}}}",
}


def finish(simulation):
    while simulation.step():
        pass
    return simulation


def tables(folder):
    return {table: results(folder, table) for table in ("trials", "epochs", "decisions")}


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_resumed_sweep_decides_as_an_uninterrupted_one(tmp_path, scheduler, every):
    if every == 5 and "pbt" in scheduler:
        scheduler = scheduler.replace("every: 4", "every: 5")
    study = make_study(tmp_path, scheduler, trials=12, epochs=11, every=every)
    whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    assert (len(tables(whole.folder)["trials"]) > 12) if study.lengths else len(tables(whole.folder)["trials"]) == 12
    if "fifo" not in scheduler:
        assert len(tables(whole.folder)["decisions"]) > 12 or every == 5
    for seed in range(2):
        order = random.Random(seed)
        cut = Simulation(tmp_path / f"cut-{seed}", study, order.choice([2, 3, 7]), order)
        kills = 0
        while cut.step():
            if order.random() < 0.06:
                cut.restart()
                kills += 1
        assert kills > 0
        for table, rows in tables(cut.folder).items():
            assert rows.equals(tables(whole.folder)[table]), (seed, kills, table)


@pytest.mark.parametrize("scheduler", ["asha", "asha, complete runs", "hyperband", "median", "pbt"])
def test_lost_and_damaged_tables_are_written_again_as_they_were(tmp_path, scheduler):
    study = make_study(tmp_path, SCHEDULERS[scheduler], trials=5 if scheduler == "pbt" else 9, epochs=9)
    whole = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0)))
    cut = Simulation(tmp_path / "cut", study, 2, random.Random(1))
    for _ in range(32):
        cut.step()
    known = sorted(path.stem for path in (cut.folder / "store" / "decisions").iterdir())
    torn = part_path(cut.folder, "decisions", known[0])
    torn.write_bytes(torn.read_bytes()[:-20])
    part_path(cut.folder, "decisions", known[-1]).unlink()
    cut.restart()
    finish(cut)
    for table, rows in tables(cut.folder).items():
        assert rows.equals(tables(whole.folder)[table]), table


def played(tmp_path, scheduler, **options):
    """A finished sweep with one trial at a time: robust accuracy by (trial, epoch), and its decisions."""
    study = make_study(tmp_path, scheduler, **options)
    folder = finish(Simulation(tmp_path / "whole", study, 1, random.Random(0))).folder
    return study, read_table(folder, "epochs"), read_table(folder, "decisions"), read_table(folder, "trials")


class Stub:
    """What Ray's schedulers look at in a trial."""

    status = "RUNNING"

    def __init__(self, name):
        self.trial_id = name


def fed(scheduler, epochs, trials):
    """The epochs at which Ray's own scheduler stops trials, fed with one trial after the other."""
    from ray.tune.schedulers import TrialScheduler

    stops = {}
    controller = SimpleNamespace(get_live_trials=list)
    for name in trials["trial"]:
        stub = Stub(name)
        if hasattr(scheduler, "_brackets"):
            scheduler.on_trial_add(controller, stub)
        last = {}
        for row in epochs[epochs["trial"] == name].to_dict("records"):
            if row["val_robust_accuracy"] != row["val_robust_accuracy"]:
                break
            last = {"epoch": row["epoch"], "value": row["val_robust_accuracy"]}
            if row["epoch"] < epochs["epoch"].max():
                if scheduler.on_trial_result(controller, stub, last) == TrialScheduler.STOP:
                    stops[name] = row["epoch"]
                    break
            else:
                scheduler.on_trial_complete(controller, stub, last)
    return stops


def stopped(decisions):
    stops = decisions[decisions["action"] == "stop"]
    return dict(zip(stops["trial"], stops["epoch"], strict=True))


@pytest.mark.parametrize(("grace", "eta"), [(1, 3), (2, 2), (1, 4)])
def test_asha_stops_what_rays_own_stops(tmp_path, grace, eta):
    from ray.tune.schedulers import AsyncHyperBandScheduler

    _, epochs, decisions, trials = played(tmp_path, f"{{name: asha, grace: {grace}, eta: {eta}}}", trials=40)
    ray = AsyncHyperBandScheduler(
        time_attr="epoch", metric="value", mode="max", max_t=27, grace_period=grace, reduction_factor=eta
    )
    assert stopped(decisions) == fed(ray, epochs, trials) != {}
    # A diverged trial is in no rung after its last finite epoch.
    for name in trials[trials["status"] == "diverged"]["trial"]:
        assert decisions[decisions["trial"] == name]["epoch"].max() <= 4


def test_the_median_rule_stops_what_rays_own_stops(tmp_path):
    from ray.tune.schedulers import MedianStoppingRule

    _, epochs, decisions, trials = played(tmp_path, "{name: median, grace: 2, min_trials: 3}", trials=30)
    ray = MedianStoppingRule(
        time_attr="epoch", metric="value", mode="max", grace_period=2, min_samples_required=3, min_time_slice=10**9
    )
    assert stopped(decisions) == fed(ray, epochs, trials) != {}


def test_the_median_rule_records_what_it_compared(tmp_path):
    scheduler = "{name: median, grace: 3, min_trials: 2, smooth: 2}"
    _, epochs, decisions, _ = played(tmp_path, scheduler, trials=12, epochs=9)
    curves = {name: part["val_robust_accuracy"].dropna() for name, part in epochs.groupby("trial")}
    smoothed = {name: curve.rolling(2, min_periods=1).mean().tolist() for name, curve in curves.items()}
    names = list(dict.fromkeys(epochs["trial"]))
    fell = 0
    for row in decisions.itertuples():
        assert row.value == pytest.approx(max(smoothed[row.trial][: row.epoch]))  # from the first epoch on
        fell += row.value > smoothed[row.trial][row.epoch - 1] + 1e-9
        others = [smoothed[name] for name in names[: names.index(row.trial)] if len(smoothed[name]) >= row.epoch]
        if np.isnan(row.cutoff):
            assert len(others) < 2
        else:  # the means run from the grace epoch on
            assert row.cutoff == pytest.approx(np.median([np.mean(other[2 : row.epoch]) for other in others]))
        if row.action != "completed":
            assert row.action == ("stop" if row.value < row.cutoff else "continue")
    assert fell > 0
    assert {"stop", "continue", "completed"} == set(decisions["action"])


@pytest.mark.parametrize(
    ("scheduler", "some"), [("asha", True), ("median", True), ("hyperband", False), ("pbt", False)]
)
def test_completed_is_the_action_at_a_rung_that_is_the_last_epoch(tmp_path, scheduler, some):
    _, _, decisions, trials = played(tmp_path, SCHEDULERS[scheduler], trials=14, epochs=9)
    found = decisions[decisions["action"] == "completed"]
    assert (found["rung"] == 9).all() and (decisions[decisions["rung"] == 9]["action"] == "completed").all()
    ran = set(trials[trials["status"] == "completed"]["trial"])
    assert ran
    assert set(found["trial"]) == (ran if some else set())


def test_hyperband_has_rays_brackets_and_keeps_the_best_of_each(tmp_path):
    from ray.tune.schedulers import HyperBandScheduler

    study, epochs, decisions, _ = played(tmp_path, "{name: hyperband, eta: 3}", trials=49)
    ray = HyperBandScheduler(time_attr="epoch", metric="value", mode="max", max_t=27, reduction_factor=3)
    spans, start = [], 0
    for halvings in (3, 2, 1, 0):
        size = ray._get_n0(halvings)
        spans.append((halvings, ray._get_r0(halvings), range(start, start + size)))
        start += size
    assert start == 49
    value = {(row.trial, row.epoch): row.val_robust_accuracy for row in epochs.itertuples()}
    names = [trial.name for trial in study.trials()]
    expected = {}
    for halvings, rung, places in spans:
        alive, keep = [names[place] for place in places], len(places)
        for _ in range(halvings):
            alive = [name for name in alive if value.get((name, rung), np.nan) == value.get((name, rung), np.nan)]
            keep = -(-keep // 3)
            ranked = sorted(alive, key=lambda name: (-value[name, rung], name))
            expected |= dict.fromkeys(ranked[keep:], rung)
            alive, rung = ranked[:keep], rung * 3
    assert stopped(decisions) == expected
    assert set(decisions[decisions["bracket"] == 0]["rung"]) == {1, 3, 9}


def test_a_search_that_was_extended_starts_a_new_bracket(tmp_path):
    study = make_study(tmp_path, "{name: hyperband}", trials=10)
    finish(Simulation(tmp_path / "s", study, 3, random.Random(0)))
    before = tables(tmp_path / "s")["decisions"].to_pandas()
    from tune_at.study.sweep import Sweep

    Sweep.open(str(tmp_path / "s")).extended(24).save()
    finish(Simulation(tmp_path / "s", study, 3, random.Random(1)))
    after = tables(tmp_path / "s")["decisions"].to_pandas()
    assert len(read_table(tmp_path / "s", "trials")) == 24
    assert after[after["trial"].isin(before["trial"])].reset_index(drop=True).equals(before)
    # After 10 of bracket 0's 27 trials, the new ones are the first of bracket 1, with rungs 3 and 9.
    new = after[~after["trial"].isin(before["trial"])]
    assert set(new["bracket"]) == {1, 2}
    assert new["rung"].min() == 3


def test_pbt_replaces_the_lowest_quarter_from_the_highest(tmp_path):
    _, epochs, decisions, trials = played(
        tmp_path, SCHEDULERS["pbt"].replace("every", "quantile: 0.25, every"), trials=8, epochs=13
    )
    assert set(trials["status"]) <= {"completed", "diverged"}
    lr = {(row.trial, row.epoch): row.lr for row in epochs.itertuples()}
    assert sorted(set(decisions["epoch"])) == [4, 8, 12]
    for epoch, ranked in decisions.groupby("epoch"):
        ranked = ranked.sort_values(["value", "trial"], ascending=[False, True])
        count = int(np.ceil(len(ranked) / 4))
        assert ranked["action"].tolist() == ["continue"] * (len(ranked) - count) + ["exploit"] * count
        for row in ranked[ranked["action"] == "exploit"].itertuples():
            assert row.source in ranked["trial"].tolist()[:count]
            new = json.loads(row.changes)["optim.lr"]
            assert 0.001 <= new <= 0.5
            assert lr.get((row.trial, epoch + 1), new) == new
        kept = ranked[ranked["action"] == "continue"]["trial"]
        assert all(lr[name, epoch] == lr.get((name, epoch + 1), lr[name, epoch]) for name in kept)
    changes = [(lr[r.source, r.epoch], r.changes) for r in decisions[decisions["action"] == "exploit"].itertuples()]
    factors = [round(float(text.split()[-1][:-1]) / old, 6) for old, text in changes]
    assert {0.8, 1.2} & set(factors)


def test_the_documented_query_gives_the_final_values_after_exploits(tmp_path):
    _, epochs, decisions, _ = played(tmp_path, SCHEDULERS["pbt"], trials=8, epochs=13)
    text = (Path(__file__).parents[3] / "docs" / "early_stopping.md").read_text(encoding="utf-8")
    sql = re.search(r'run\.py query DIR/NAME "(SELECT trial, max\(epoch\)[^"]*)"', text)[1]
    found = query(tmp_path / "whole", sql).to_pandas()
    exploited = decisions[decisions["action"] == "exploit"]
    assert found["trial"].tolist() == sorted(set(exploited["trial"]))
    last = epochs.sort_values("epoch").groupby("trial").tail(1).set_index("trial")
    finished = found[[last.loc[trial, "epoch"] > since for trial, since in zip(found.trial, found.since, strict=True)]]
    assert len(finished) > 1
    assert finished["lr"].tolist() == [last.loc[trial, "lr"] for trial in finished["trial"]]
    assert any(exploited["trial"].duplicated())  # so that the last exploit counts
