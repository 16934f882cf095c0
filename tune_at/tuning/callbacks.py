"""Ray Tune callbacks."""

from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tune_at.tuning.progress import SweepProgress


class ProgressCallback(tune.Callback):
    """Hands trials' results to the live view. Tune pickles its callbacks; the view stays behind."""

    def __init__(self, progress: SweepProgress) -> None:
        self.progress: SweepProgress | None = progress
        self.lost: set[str] = set()
        """Trials that Tune has given up."""

    def __getstate__(self) -> dict[str, Any]:
        return {"progress": None, "lost": set()}

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's retries are used up; Tune reports retries themselves as `on_trial_recover`."""
        self.lost.add(trial.config["spec"]["trial"])

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was given its worker."""
        if self.progress is not None:
            self.progress.started(trial.config["spec"]["trial"])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch ended."""
        if self.progress is not None:
            self.progress.result(result)


class StorageStopper(tune.Stopper):
    """Stops the whole sweep once a trial reports that the storage has failed: no other could write there either."""

    def __init__(self) -> None:
        self.failure: list[str] = []
        """What `StorageFailed` takes."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Look at a result; the trials end by themselves."""
        if result.get("status") == "storage":
            self.failure = list(result["storage"])
        return False

    def stop_all(self) -> bool:
        """Whether to stop."""
        return bool(self.failure)
