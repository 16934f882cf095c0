"""A trial's probes while it trains: measured, and written before the checkpoint of their epoch is."""

import json
from collections.abc import Iterable
from typing import Any

from tune_at.config.probes import PROBES, ProbeSection, parse_probes
from tune_at.data.batches import Batch
from tune_at.probes.base import Measurement, Probe, SampleRow, Watch
from tune_at.recording.spec import TrialSpec
from tune_at.seeding import generator
from tune_at.store.layout import SweepFolder
from tune_at.store.writer import write_rows
from tune_at.training.snapshot import NetworkSnapshot


class Probing:
    """Runs the probes of a trial as its trainer's `Observer`, each with random streams of its own.

    What an epoch gives is a part of the table of its own, replaced whole: an epoch that is run again, after a kill,
    gives the same rows in the same place.
    """

    def __init__(self, spec: TrialSpec) -> None:
        self.folder, self.trial = spec.place, spec.trial
        self.sections = {probe.name: probe for probe in parse_probes(spec.probes, spec.trial)}
        loaded: dict[str, Any] = {name: PROBES[name].load() for name in self.sections}
        self.watches: dict[str, Watch] = {
            name: of(self.sections[name]) for name, of in loaded.items() if isinstance(of, type)
        }
        self.functions: dict[str, Probe] = {name: of for name, of in loaded.items() if not isinstance(of, type)}
        self.pending: dict[str, list[Measurement | SampleRow]] = {}
        """Rows of the batches of the epoch that runs."""
        self.updates = 0
        """Updates in it so far."""

    def before_update(self, snapshot: NetworkSnapshot, batch: Batch) -> None:
        """Show each watch the batch that comes."""
        self.updates += 1
        snapshot.engine.set_products()
        for name, watch in self.watches.items():
            chance = generator(snapshot.device, snapshot.config.seed, "probe", name, snapshot.epoch + 1, self.updates)
            self.pending.setdefault(name, []).extend(watch.before_update(snapshot, batch, chance))

    def after_epoch(self, snapshot: NetworkSnapshot) -> None:
        """Measure what is due after the snapshot's epoch, 0 being before the first, and write all rows of it."""
        epoch, last = snapshot.epoch, snapshot.config.train.epochs
        snapshot.engine.set_products()  # before the first epoch nobody has
        for name, section in self.sections.items():
            rows = self.pending.pop(name, [])
            if section.due(epoch, last):
                chance = generator(snapshot.device, snapshot.config.seed, "probe", name, epoch)
                if name in self.watches:
                    rows.extend(self.watches[name].after_epoch(snapshot, chance))
                else:
                    rows.extend(self.functions[name](snapshot, section, chance))
            write_probe(self.folder, self.trial, "", epoch, section, rows)
        self.updates = 0

    def state_dict(self) -> dict[str, Any]:
        """The watches' state."""
        return {name: watch.state_dict() for name, watch in self.watches.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it; a watch that the checkpoint does not know begins."""
        for name, watch in self.watches.items():
            if name in state:
                watch.load_state_dict(state[name])


def settings_of(section: ProbeSection) -> str:
    """All that decides what a probe measures, as JSON."""
    return json.dumps(section.model_dump(mode="json", exclude={"every"}))


def write_probe(
    folder: SweepFolder, trial: str, checkpoint: str, epoch: int, section: ProbeSection, rows: Iterable[Any]
) -> None:
    """Write what a probe has measured at one epoch or checkpoint: numbers to `probes`, images to `samples`."""
    found = list(rows)
    numbers = [row for row in found if isinstance(row, Measurement)]
    images = [row for row in found if isinstance(row, SampleRow)]
    place = {"trial": trial, "checkpoint": checkpoint, "epoch": epoch, "settings": settings_of(section)}
    if numbers:
        table = [{**place, "probe": section.name, **row._asdict()} for row in numbers]
        write_rows(folder, "probes", trial, table)
    if images:
        place |= {"split": "train", "origin": section.name, "batch": 0}
        write_rows(folder, "samples", trial, [{**place, **row._asdict()} for row in images])
