import pytest

from tune_at.errors import UserError
from tune_at.study.cost import epoch_passes, sweep_seconds, train_passes
from tune_at.study.study import Trial
from tune_at.tuning.preflight import family, preflight


def trial(config):
    return Trial("00", config, {})


def test_one_batch_of_each_family(tiny):
    configs = [tiny(), tiny(data={"noise_rate": 0.5}), tiny(seed=4), tiny("trades"), tiny(model={"width": 8})]
    assert len({family(config) for config in configs}) == 3
    seconds = preflight(map(trial, configs))
    assert len(seconds) == 3
    assert all(value > 0 for value in seconds.values())


def test_a_trial_that_cannot_work_is_named_before_anything_starts(tiny, monkeypatch):
    from tune_at.objectives.pgd_at import PGDATObjective

    def broken(self, step):
        raise RuntimeError("shapes do not match\nlong story")

    monkeypatch.setattr(PGDATObjective, "loss", broken)
    with pytest.raises(UserError, match="preflight of 00: RuntimeError: shapes do not match; the first batch"):
        preflight([trial(tiny())])


def test_cost(tiny):
    assert train_passes(tiny()) == 2 * 2 + 3
    assert train_passes(tiny("standard")) == 3
    config = tiny(evaluation={"every": 2})
    evaluated = 32 + config.data.validation_samples + config.data.test_size
    assert epoch_passes(config) == 64 * 7 + evaluated * 6 / 2
    assert sweep_seconds([3, 1, 1, 1], 2) == 3
    assert sweep_seconds([1] * 5, 2) == 3
