"""Trials that share GPUs. No GPU is needed: Ray is told of two, and the measurement is given."""

import time

import pytest
import torch

from tune_at.config.trial import ResourcesSection, TrialConfig
from tune_at.errors import UserError
from tune_at.study.cost import trial_seconds
from tune_at.study.study import Trial
from tune_at.tuning.cluster.session import Need, live_nodes, ray_session, slots, unplaceable

# isort: split
import ray
from ray import tune

from tune_at.recording.spec import TrialSpec
from tune_at.tuning.packing import MOST, GpuMemory, pack, share, whole_needs
from tune_at.tuning.trainable import ATTrainable

GIB = 2**30


@pytest.mark.parametrize(
    ("needed", "total", "trials"),
    [(10, 80, 7), (10, 11, 1), (40, 80, 1), (36, 80, 2), (0.5, 80, MOST), (7.27, 80, 10), (12.12, 80, 6), (10, 22, 2)],
)
def test_as_many_as_fit_with_a_margin(needed, total, trials):
    found = share(GpuMemory(int(needed * GIB), int(total * GIB)))
    assert int(1 / found) == trials
    assert trials * found <= 1
    assert trials * needed * 1.1 <= total
    assert Need(1, found).times_in({"CPU": 64, "GPU": 1}) == trials


def test_larger_than_a_gpu():
    message = r"x: a trial takes 75\.0 GiB and a margin of 10%, but the GPU has 80\.0 GiB; lower train\.batch_size"
    with pytest.raises(UserError, match=message):
        share(GpuMemory(75 * GIB, 80 * GIB), "x")


@pytest.mark.parametrize(
    ("cpu", "gpu", "node", "times"),
    [
        (1, 0, {"CPU": 4}, 4),
        (2, 0, {"CPU": 3}, 1),
        (2, 0, {"CPU": 1}, 0),
        (1, 0.5, {"CPU": 8, "GPU": 2}, 4),
        (1, 0.5, {"CPU": 3, "GPU": 2}, 3),
        (1, 0.4, {"CPU": 8, "GPU": 3}, 6),  # a fraction never spans two GPUs
        (1, 2, {"CPU": 8, "GPU": 3}, 1),
        (1, 1, {"CPU": 8}, 0),
    ],
)
def test_how_often_a_trial_fits_into_a_node(cpu, gpu, node, times):
    assert Need(cpu, gpu).times_in(node) == times


@pytest.mark.parametrize(
    ("need", "joined", "nodes", "message"),
    [
        (Need(64, 0), False, [{"CPU": 2}], "this machine has 2; set resources.cpu to at most 2, or join a cluster"),
        (
            Need(64, 0), True, [{"CPU": 2}],
            "the cluster's only node has 2; set resources.cpu to at most 2, or add larger nodes to the cluster",
        ),
        (Need(64, 0), True, [{"CPU": 2}, {"CPU": 4}], "the largest of the cluster's 2 nodes has 4; set resources.cpu"),
        (Need(1, 1), False, [{"CPU": 2}], "this machine has none; set resources.gpu=0 to train on CPUs, or join"),
        (Need(1, 1), True, [{"CPU": 2}], "the cluster's only node has none; set resources.gpu=0 to train on CPUs"),
        (Need(1, 1), True, [{"CPU": 2}] * 3, "none of the cluster's 3 nodes has one; set resources.gpu=0"),
        (Need(1, 2), True, [{"CPU": 2, "GPU": 1}] * 3, "the largest of the cluster's 3 nodes has 1; set resources.gpu"),
    ],
)  # fmt: skip
def test_a_trial_that_fits_nowhere_is_told_what_was_joined(need, joined, nodes, message):
    assert any(message in str(problem) for problem in unplaceable([need], nodes, joined))


def test_the_share_is_no_part_of_the_config(tiny):
    config = tiny(resources={"gpu": "auto"})
    assert config.as_tree()["resources"]["gpu"] == "auto"
    assert TrialConfig.parse(config.as_tree()).hash == config.hash
    assert trial_seconds(config) == trial_seconds(tiny(resources={"gpu": 1}))
    for wrong in ("all", -1, 1.5):
        with pytest.raises(UserError, match=r"resources\.gpu"):
            TrialConfig.parse({"resources": {"gpu": wrong}})
    assert ResourcesSection(gpu=2).gpu == 2


@pytest.mark.slow
def test_four_trials_at_a_time_on_two_gpus(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 5, "GPU": 2}')
    configs = [tiny(resources={"gpu": "auto"}, seed=seed) for seed in range(5)]
    configs.append(tiny(resources={"gpu": "auto"}, model={"width": 8}))
    trials = [Trial(f"{number}", config, {}) for number, config in enumerate(configs)]
    asked = tmp_path / "asked"

    def measured(tree):
        with asked.open("a") as file:
            file.write(f"{tree['model']['width']} on {len(ray.get_gpu_ids())}\n")
        return GpuMemory((6 if tree["model"]["width"] == 4 else 3) * GIB, 16 * GIB)

    class Waits(ATTrainable):
        """Asks for what a trial asks for, waits for three others, and says where and when it was."""

        def step(self):
            began = time.time()
            (tmp_path / f"at-{self.spec.trial}").touch()
            while len(list(tmp_path.glob("at-*"))) < 4 and time.time() < began + 500:
                time.sleep(0.05)
            return {"gpus": list(ray.get_gpu_ids()), "began": began, "ended": time.time(), "done": True}

    with ray_session():
        assert unplaceable(whole_needs(trials), live_nodes()) == []
        packing = pack(trials, measured)
        assert asked.read_text().splitlines() == ["4 on 1", "8 on 1"]  # once a family, with a GPU of its own
        assert [packing.need(trial.config).gpu for trial in trials] == [0.5] * 5 + [0.25]
        assert packing.need(tiny(resources={"gpu": "auto"}, model={"width": 16})).gpu == 0.5  # drawn later: the largest
        assert slots(packing.need(trials[0].config)) == 4
        specs = [
            TrialSpec(str(tmp_path), "s", "s", "main", t.name, t.config.as_tree(), {}, gpu=packing.need(t.config).gpu)
            for t in trials[:5]
        ]
        ended = tune.Tuner(
            Waits,
            param_space={"spec": tune.grid_search([spec.as_dict() for spec in specs])},
            run_config=tune.RunConfig(storage_path=str(tmp_path / "ray"), verbose=0),
        ).fit()
        rows = [result.metrics for result in ended]
        if not torch.cuda.is_available():  # the real measurement, in its worker, names what it lacks
            with pytest.raises(UserError, match=r"^resources\.gpu: auto, but torch finds no GPU here"):
                pack(trials[:1])
    at_once = [[r["gpus"][0] for r in rows if r["began"] <= row["began"] < r["ended"]] for row in rows]
    assert max(map(len, at_once)) == 4
    assert all(gpus.count(0) <= 2 and gpus.count(1) <= 2 for gpus in at_once)
