"""What a trial is told, as plain values that travel to its worker."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tune_at.config.facts import KnownData
from tune_at.config.trial import TrialConfig
from tune_at.config.versions import SCHEMA
from tune_at.store.layout import SweepFolder
from tune_at.store.place import Place
from tune_at.study.sampling import with_values


@dataclass(frozen=True)
class TrialSpec:
    """What a worker needs to run one trial; plain values only, so that it travels as a dictionary."""

    folder: str
    sweep: str
    study: str
    stage: str
    trial: str
    config: dict[str, Any]
    swept: dict[str, Any]
    teachers: dict[str, str] = field(default_factory=dict)
    """Trials of earlier stages, by the role they have for this one."""
    lineage: list[dict[str, Any]] = field(default_factory=list)
    """PBT's exploits, ascending: `epoch` after which they happen, `source`, and `changes` by dotted path."""
    leaves: int = 0
    """Epoch after which it leaves its state for the next, longer run of its point; 0 is none."""
    begins: dict[str, Any] = field(default_factory=dict)
    """The run whose state it begins with, `source`, after which `epoch`; empty is none."""
    proposal: str | None = None
    """JSON of what the search proposed, handed through to the `trials` table."""
    data: dict[str, Any] = field(default_factory=dict)
    """What the sweep has recorded of the trial's data: `KnownData.only`."""
    gpu: float = 0.0
    """GPUs that Ray reserves. Where the config says `auto` it is measured, so it stands beside the config."""
    probes: list[dict[str, Any]] = field(default_factory=list)
    """The study's probes, as sections."""
    run: str = ""
    """What TensorBoard calls the trial, a path: see `RunFolders`. Empty is the trial's name."""
    schema: int = SCHEMA
    """The schema version of the trial's sweep, in which its config is recorded."""

    @property
    def place(self) -> SweepFolder:
        """The sweep's folder, parsed."""
        return SweepFolder.of(self.folder)

    @property
    def events(self) -> Place:
        """The folder of its events."""
        return self.place.events(self.run or self.trial)

    @property
    def known(self) -> KnownData | None:
        """What the sweep has recorded of the trial's data; None is nothing."""
        # An older sweep has records of its configs, if not of its data: no rule of today is to judge them.
        return KnownData.from_record(self.data) if self.data or self.schema < SCHEMA else None

    def config_after(self, epoch: int) -> TrialConfig:
        """The config under which the epoch after `epoch` is trained."""
        tree = self.config
        for step in self.lineage:
            if step["epoch"] <= epoch:
                tree = with_values(tree, step["changes"])
        return TrialConfig.parse(tree, complete=self.schema >= SCHEMA, data=self.known)

    def exploit_path(self, epoch: int) -> Place:
        """The copy of another trial's checkpoint that this one goes on from after `epoch`."""
        return self.place.exploit(self.trial, epoch)

    def teacher_paths(self) -> dict[str, Place]:
        """The standard teacher's last checkpoint, and the robust teacher's best (Tab. 2)."""
        from tune_at.training.checkpoint import checkpoints  # torch: the driver needs none to tell a worker of these

        folder = self.place
        paths: dict[str, Place] = {}
        for role, trial in self.teachers.items():
            last = checkpoints(folder.checkpoints(trial))
            paths[role] = last[0] if role == "standard" and last else folder.best(trial)
        return paths

    def as_dict(self) -> dict[str, Any]:
        """The spec as a plain dictionary."""
        return asdict(self)
