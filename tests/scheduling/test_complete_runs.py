"""Over recorded curves either fidelity decides as the live sweep does."""

import random

import pytest
from simulation import Simulation, make_study

from tune_at.scheduling.complete_runs import Recorded
from tune_at.store import read_table

LENGTHS, NUMBER = (2, 6, 20), 25


def value(point, epochs, epoch):
    """Of a run of that length at an epoch; there are ties."""
    return round(random.Random(f"{point} {epochs} {epoch}").random(), 1)


@pytest.fixture
def recorded():
    curves = [[{e: value(p, n, e) for e in range(1, n + 1)} for n in LENGTHS] for p in range(NUMBER)]
    return Recorded(2, 3, LENGTHS, curves)


def live(folder, fidelity):
    """The same points in a live sweep: by point the epoch after which its last run ended, and how many runs it had."""
    study = make_study(folder, f"{{name: asha, grace: 2, eta: 3, fidelity: {fidelity}}}", trials=NUMBER, epochs=20)

    def curve(spec, epoch):
        return value(int(spec.trial[:4]), spec.config["train"]["epochs"], epoch)

    simulation = Simulation(folder / "sweep", study, 3, random.Random(1), curve)
    while simulation.step():
        pass
    return read_table(folder / "sweep", "trials").assign(point=lambda frame: frame["trial"].str[:4].astype(int))


def test_rungs_inside_one_run_are_the_live_sweep_s(tmp_path, recorded):
    trials = live(tmp_path, "epochs").set_index("point")
    ends = recorded.inside_one_run(range(NUMBER))
    assert ends == trials["epochs"].loc[list(range(NUMBER))].tolist()
    assert set(ends) == {2, 6, 18, 20}  # live, there is a rung at 18, too


def test_complete_runs_are_the_live_sweep_s(tmp_path, recorded):
    runs = live(tmp_path, "schedule").groupby("point").size()
    counts = recorded.in_complete_runs(range(NUMBER))
    assert counts == runs.loc[list(range(NUMBER))].tolist()
    assert set(counts) == {1, 2, 3}


def test_what_follows_is_by_point_whatever_the_order(recorded):
    order = random.Random(0).sample(range(NUMBER), NUMBER)
    shuffled = Recorded(2, 3, LENGTHS, [recorded.curves[point] for point in order])
    for name in ("inside_one_run", "in_complete_runs"):
        ours = getattr(recorded, name)(order)
        assert [ours[point] for point in order] == getattr(shuffled, name)(range(NUMBER))
        assert ours != getattr(recorded, name)(range(NUMBER))
