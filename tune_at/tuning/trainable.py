"""The Ray Tune trainable: a thin shell around a recorded trial."""

from collections.abc import Mapping
from typing import Any

from ray import tune

from tune_at.data.arrays import Source
from tune_at.data.sources import provide
from tune_at.recording.rows import cause_of, write_failure
from tune_at.recording.spec import TrialSpec
from tune_at.recording.trial import RecordedTrial
from tune_at.store.failures import StorageFailed
from tune_at.store.status import Status


class ATTrainable(tune.Trainable):
    """Runs trials of adversarial training, one epoch a step; one actor serves many trials in turn.

    A trial that raises ends as `failed` without a retry: the same error would come again. A worker that is killed
    raises nothing here; Ray starts the trial again, and it continues from its newest good checkpoint. Where the storage
    has failed, the trial is left as it is, and its result, of status `storage`, asks the driver to stop.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """One bundle with what the trial takes; Tune places it on one node."""
        resources, gpu = config["spec"]["config"]["resources"], config["spec"]["gpu"]
        assert bool(gpu) == bool(resources["gpu"]), "the spec's share of a GPU was not set"
        return tune.PlacementGroupFactory([{"CPU": resources["cpu"], "GPU": gpu}])

    def setup(self, config: dict[str, Any], shipped: Mapping[str, Source] | None = None) -> None:
        """Take the spec; the network is built in the first step, where an error is recorded.

        `shipped`: data sets by name that the driver has put into Ray's object store.
        """
        provide(shipped or {})
        self.spec = TrialSpec(**config["spec"])
        self.trial_run: RecordedTrial | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another trial with the same process."""
        self.cleanup()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One epoch; `done` once the trial has its last, has diverged or has failed."""
        try:
            if self.trial_run is None:
                self.trial_run = RecordedTrial(self.spec)
            result = self.trial_run.step()
        except StorageFailed as error:
            result = self._storage_failed(error)
        except Exception as error:
            result = self._failed(error)
        return {**result, "done": result["status"] != Status.RUNNING}

    def _failed(self, error: Exception) -> dict[str, Any]:
        try:
            log = str(write_failure(self.spec, error))
        except StorageFailed as second:
            return self._storage_failed(second)
        except Exception as second:
            log = f"none: {cause_of(second)}"
        return {"trial": self.spec.trial, "status": Status.FAILED, "error": cause_of(error), "log": log}

    def _storage_failed(self, error: StorageFailed) -> dict[str, Any]:
        self.trial_run = None  # there is nowhere to write how it ended
        return {"trial": self.spec.trial, "status": Status.STORAGE, "error": str(error), "storage": error.parts}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """A pointer: the state itself is in the sweep's folder, saved epoch by epoch."""
        return {"trial": self.spec.trial}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing to do: the first step continues from the newest good checkpoint."""

    def cleanup(self) -> None:
        """Close the trial's files."""
        if self.trial_run is not None:
            self.trial_run.close()
            self.trial_run = None
