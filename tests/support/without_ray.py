"""`run.py` with workers that are plain calls in this process: a whole sweep but for Ray, in seconds.

`TRIALS` in the environment: how many trials are run before the sweep is interrupted.
"""

import contextlib
import os

from tune_at.cli.main import main
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.tuning import runner


@contextlib.contextmanager
def no_session(*arguments):
    yield []


class Tuner:
    """Runs one trial after the other, as Tune's callbacks and scheduler would have it run them."""

    def __init__(self, trainable, tune_config, run_config):
        self.run, self.left = tune_config.scheduler._run, int(os.environ.get("TRIALS", "1000"))

    def fit(self):
        while self.left and (state := self.run.next_trial()) is not None:
            self.left -= 1
            trial = RecordedTrial(TrialSpec(**self.run.ledger.spec(state).as_dict()))
            result = {"status": "running"}
            while result["status"] == "running" and not state.ended:
                result = trial.step()
                self.run.report(state.name, result)
                self.run.decide()
            trial.close()
            self.run.ended(state.name)


if __name__ == "__main__":
    runner.ray_session = no_session
    runner.require_cluster = lambda *arguments: None
    runner._at_once = lambda *arguments: 1
    runner.tune.Tuner = Tuner
    main()
