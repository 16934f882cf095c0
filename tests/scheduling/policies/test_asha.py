"""ASHA's rungs and verdicts, each bracket against Ray's own."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tune_at.config.scheduler import METRICS
from tune_at.scheduling.board import Board
from tune_at.scheduling.policies.asha import AshaPolicy
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.study.trials import Trial


def asha(grace, eta, longest, brackets=1):
    """The policy of a study of one point."""
    scheduler = f"{{name: asha, grace: {grace}, eta: {eta}, brackets: {brackets}}}"
    text = f"title: x\nbase: {{data: {{subset: 64}}, train: {{epochs: {longest}, batch_size: 32}}}}\n"
    return AshaPolicy(study_of(text + f"scheduler: {scheduler}\n"))


def study_of(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_text(text)
        return Study.resolve(str(path))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("grace", "eta", "longest"), [(1, 3, 27), (2, 2, 27), (1, 4, 27), (3, 1.5, 40), (1, 1.1, 7), (5, 3, 100), (8, 2, 9)]
)
def test_each_bracket_of_asha_judges_as_rays_own(grace, eta, longest, seed):
    from ray.tune.schedulers.async_hyperband import _Bracket

    policy = asha(grace, eta, longest, brackets=3)
    rng = np.random.default_rng(seed)
    for number in range(3):
        bracket = _Bracket(grace, longest, eta, number)
        assert policy.milestones[number] == [milestone for milestone, _ in reversed(bracket._rungs)]
        policy.bracket_at = lambda index, number=number: number
        board, stops = Board(30), 0
        for index in range(30):
            (state,) = board.add([Trial(f"{index:02d}", policy.study.samples()[0].config, {})])
            for epoch in range(1, longest):
                value = float(rng.choice([0.1, 0.2, 0.25, 0.4, 0.8]))  # with ties
                state.report(epoch, dict.fromkeys((f"val_{metric}" for metric in METRICS), value))
                theirs = bracket.on_result(SimpleNamespace(trial_id=state.name), epoch, value)
                policy.decide(board)
                assert state.ended == (theirs == "STOP"), (index, epoch)
                if state.ended:
                    stops += 1
                    break
            state.status = state.status if state.ended else Status.COMPLETED
        assert stops > 0 or len(policy.ladders[number]) < 2


@pytest.mark.parametrize(
    ("eta", "longest", "rungs"), [(3, 243, 6), (10, 1000, 4), (5, 125, 4), (6, 216, 4), (7, 343, 4)]
)
def test_a_power_of_eta_is_a_rung_however_logarithms_round(eta, longest, rungs):
    # int(log(243) / log(3)) is 4. Nothing is stopped there: it is the last epoch.
    (ladder,) = asha(1, eta, longest).ladders
    assert ladder == [eta**k for k in range(rungs)]
