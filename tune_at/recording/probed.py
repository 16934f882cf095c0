"""The work of `probe`: the probes of one checkpoint, each written as soon as it is measured, and what is missing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tune_at.config.probes import PROBES, ProbeSection, parse_probes
from tune_at.recording.evaluation_plan import Target
from tune_at.recording.planned import load_planned
from tune_at.recording.probing import settings_of, write_probe
from tune_at.seeding import generator
from tune_at.store.layout import SweepFolder

TABLES = ("probes", "samples")
"""The tables that probes are written to."""


def probe_checkpoint(
    folder: str,
    trial: str,
    checkpoint: str,
    epoch: int,
    config: str,
    data: Mapping[str, Any],
    probes: Sequence[Mapping[str, Any]],
) -> None:
    """Measure probes of a trial's checkpoint and write their rows. What is measured again gives the same rows.

    Args:
        folder: the sweep's.
        trial: its name.
        checkpoint: as the tables have it: `best`, or `epoch-000012`.
        epoch: the checkpoint's, as it was planned.
        config: the trial's, as JSON.
        data: what the sweep has recorded of the trial's data.
        probes: their sections.

    Raises:
        UserError: no such checkpoint, another epoch's by now, or data that has changed.
        StorageFailed: what has been written before stays.
    """
    place = SweepFolder.of(folder)
    _, snapshot = load_planned(place, trial, checkpoint, epoch, config, data)
    for section in parse_probes(probes, trial):
        chance = generator(snapshot.device, snapshot.config.seed, "probe", section.name, epoch)
        rows = PROBES[section.name].load()(snapshot, section, chance)
        write_probe(place, trial, checkpoint, epoch, section, rows)


@dataclass(frozen=True)
class Probed:
    """A checkpoint and the probes that are missing of it."""

    target: Target
    sections: Sequence[ProbeSection]

    def arguments(self, folder: SweepFolder, data: Mapping[str, Any]) -> dict[str, Any]:
        """What `probe_checkpoint` is called with, as plain values."""
        target = self.target
        return {
            "folder": str(folder), "trial": target.trial.name, "checkpoint": target.checkpoint, "epoch": target.epoch,
            "config": target.trial.config.as_json(), "data": dict(data),
            "probes": [json.loads(settings_of(section)) for section in self.sections],
        }  # fmt: skip


def missing(
    targets: Sequence[Target], sections: Sequence[ProbeSection], probes: pa.Table, samples: pa.Table
) -> list[Probed]:
    """What the tables do not have under these settings, by checkpoint; one that was named twice, as `final` and by its
    epoch, is one.
    """
    done = set(_done(probes, samples))
    left = {}
    for target in targets:
        here = (target.trial.name, target.checkpoint, target.epoch)
        absent = [section for section in sections if (*here, section.name, settings_of(section)) not in done]
        if absent:
            left[here] = Probed(target, absent)
    return list(left.values())


def _done(probes: pa.Table, samples: pa.Table) -> Iterator[tuple[Any, ...]]:
    for table, name in ((probes, "probe"), (samples.filter(pc.field("origin") != "evaluate"), "origin")):
        if "settings" in table.column_names:
            keys = ["trial", "checkpoint", "epoch", name, "settings"]
            yield from (tuple(row.values()) for row in table.select(keys).group_by(keys).aggregate([]).to_pylist())
