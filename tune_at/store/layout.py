"""Where each thing of a sweep's folder lies. No other file spells these names.

- `study.yaml`: the study as it was resolved; `launch.json`: where its data was, for `resume`; `.lock`: who runs it
- `driver.json`: what its driver last said of itself; `notices.json`: what was told by `--notify`
- `store/TABLE/TRIAL.parquet`: a trial's rows, as training writes them
- `store/TABLE/TRIAL/KEY.parquet`: rows that come from elsewhere, one file a key
- `store/folded/TABLE/000001-000016.parquet`: the parts of many trials, see `tune_at.store.fold`
- `store/damaged/`: what was damaged and set aside
- `checkpoints/TRIAL/`: `epoch-000012.pt`, `best.pt`, `exploit-000012.pt`, `branch.pt`
- `tensorboard/KEY=VALUE/…/TRIAL/`: a trial's events, for TensorBoard; `tensorboard/TRIAL/` in older sweeps
- `tensorboard/sweep/`: those of the sweep as a whole
- `search/0007.json`: a point that a searcher has drawn
- `logs/TRIAL.txt`: the traceback of a failure
- `report/FIGURE.png`, `.csv`
"""

from dataclasses import dataclass

from tune_at.store.place import Place, Where, to_place

CHECKPOINT, EXPLOIT, SUFFIX = "epoch-", "exploit-", ".pt"
"""Beginnings and the end of the names of checkpoints: an epoch's own, and another trial's that was taken over."""

SWEEP_RUN = "sweep"
"""The run of TensorBoard that is of a sweep as a whole, and of no trial."""

EVENTS = "events.out.tfevents."
"""The beginning of the names of TensorBoard's files."""


@dataclass(frozen=True)
class SweepFolder:
    """A sweep's folder, here or on far storage: parsed once, then handed on. Touches no storage by itself."""

    place: Place

    @classmethod
    def of(cls, where: "Where | SweepFolder") -> "SweepFolder":
        """The folder of a path or an address. Raises `UserError` for an address that cannot be used."""
        return where if isinstance(where, SweepFolder) else cls(to_place(where))

    def __str__(self) -> str:
        return str(self.place)

    def __truediv__(self, name: str) -> Place:
        """A place in it that has no name of its own here."""
        return self.place / name

    @property
    def name(self) -> str:
        """The folder's own name, which is the sweep's."""
        return self.place.name

    def exists(self) -> bool:
        """Whether there is anything at this place."""
        return self.place.exists()

    @property
    def study(self) -> Place:
        """The recorded study, `study.yaml`: what makes a folder a sweep."""
        return self.place / "study.yaml"

    @property
    def launch(self) -> Place:
        """What `resume` has to know of how the sweep was started: see `tune_at.tuning.launch`."""
        return self.place / "launch.json"

    @property
    def lock(self) -> Place:
        """The file that a driver locks, or the lease that it renews."""
        return self.place / ".lock"

    @property
    def driver(self) -> Place:
        """What the driver says of itself and its machines while it runs: see `tune_at.tuning.heartbeat`."""
        return self.place / "driver.json"

    @property
    def notices(self) -> Place:
        """What has been told by a command of the user's: see `tune_at.tuning.notices`."""
        return self.place / "notices.json"

    @property
    def store(self) -> Place:
        """The folder of the tables."""
        return self.place / "store"

    def table(self, table: str) -> Place:
        """The folder of a table."""
        return self.store / table

    def part(self, table: str, trial: str, key: str = "") -> Place:
        """The file of a trial's rows; with `key` the part of that name."""
        if key:
            return self.table(table) / trial / f"{key}.parquet"
        return self.table(table) / f"{trial}.parquet"

    def folded(self, table: str) -> Place:
        """The folder of a table's folded files."""
        return self.store / "folded" / table

    @property
    def damaged(self) -> Place:
        """The folder of files of the store that were damaged and set aside."""
        return self.store / "damaged"

    def checkpoints(self, trial: str) -> Place:
        """The folder of a trial's checkpoints."""
        return self.place / "checkpoints" / trial

    def checkpoint(self, trial: str, epoch: int) -> Place:
        """The trial's checkpoint after `epoch`."""
        return self.checkpoints(trial) / checkpoint_name(epoch)

    def best(self, trial: str) -> Place:
        """The weights of the trial's best epoch."""
        return self.checkpoints(trial) / "best.pt"

    def exploit(self, trial: str, epoch: int) -> Place:
        """The copy of another trial's checkpoint that this one goes on from after `epoch`."""
        return self.checkpoints(trial) / checkpoint_name(epoch, EXPLOIT)

    def branch(self, trial: str) -> Place:
        """What the trial has left for the next, longer run of its point."""
        return self.checkpoints(trial) / "branch.pt"

    def events(self, run: str = "") -> Place:
        """TensorBoard's folder, or in it that of one run: a path such as `TrialSpec.run`, or `SWEEP_RUN`."""
        folder = self.place / "tensorboard"
        return folder / run if run else folder

    @property
    def points(self) -> Place:
        """The folder of the points that a searcher has drawn."""
        return self.place / "search"

    def point(self, number: str) -> Place:
        """The file of one such point; `number` is the one its trials' names begin with."""
        return self.points / f"{number}.json"

    def log(self, trial: str) -> Place:
        """The traceback of a trial that failed."""
        return self.place / "logs" / f"{trial}.txt"

    @property
    def report(self) -> Place:
        """The folder of figures and their numbers."""
        return self.place / "report"


def checkpoint_name(epoch: int, beginning: str = CHECKPOINT) -> str:
    """The name of a checkpoint's file after `epoch`."""
    return f"{beginning}{epoch:06d}{SUFFIX}"
