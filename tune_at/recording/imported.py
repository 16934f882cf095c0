"""Weights from elsewhere as the one trial of a sweep's folder, so that all that reads a sweep can read them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tune_at.config.trial import TrialConfig
from tune_at.config.versions import SCHEMA
from tune_at.data.identity import as_state, prepared, settle
from tune_at.errors import UserError
from tune_at.models import build_model
from tune_at.recording.rows import device_name, stored_row, write_trial
from tune_at.recording.spec import TrialSpec
from tune_at.store.layout import SweepFolder
from tune_at.store.lock import sweep_lock
from tune_at.store.place import to_place
from tune_at.store.status import Status
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep
from tune_at.study.trials import Trial
from tune_at.study.yaml_text import dump
from tune_at.training.checkpoint import DamagedCheckpoint, load_state, save_state
from tune_at.training.images import TrialImages
from tune_at.training.weights import fit, read_weights


def import_weights(
    path: str,
    into: str,
    model: str,
    data: str,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Make `into` a sweep of one trial, completed after no epoch, whose best checkpoint are the weights of a file.

    A folder that was made of the same file is gone on with. Nothing is written before all of it has been found good.

    Args:
        path: the file: see `read_weights`.
        into: the sweep's folder, DIR/NAME.
        model: a name in `MODELS`.
        data: a name in `DATASETS`.
        mean: by channel, of a first layer (x - mean) / std; empty for none.
        std: likewise.
        overrides: further keys of the trial's config by dotted path.

    Returns:
        What is to be said of how the weights were read; often nothing.

    Raises:
        UserError: a file without weights, or with such as do not fit; an invalid config; `into` is something else.
    """
    weights, digest = read_weights(path)
    place = to_place(into)
    study = _study(path, place.name, model, data, mean, std, overrides or {})
    (trial, *others) = study.trials()
    if others:
        raise UserError("--set", f"makes {len(others) + 1} trials", "give each key one value: a file has one network")
    settle(study.data, [trial.config.data])
    state, note = _checkpoint(study, trial, weights, path, digest)
    existing = SweepFolder.of(place)
    if existing.study.is_file():
        sweep = Sweep.open(str(place))
        _require_same(sweep, trial, digest, into)
    else:
        sweep = _plan(study, into)
        sweep.create()
    with sweep_lock(sweep.folder):
        if not sweep.folder.best(trial.name).exists():
            save_state(sweep.folder.best(trial.name), state)
        if not stored_row(sweep.folder, trial.name):
            config, known = trial.config, study.data.only([trial.config.data])
            spec = TrialSpec(
                str(sweep.folder), sweep.name, study.name, trial.stage, trial.name, config.as_tree(), dict(trial.swept),
                data=known,
            )  # fmt: skip
            write_trial(spec, Status.COMPLETED, best_epoch=0, device=device_name(torch.device("cpu")))
    return note


def _plan(study: Study, into: str) -> Sweep:
    """The sweep that is to be made. Raises `UserError`, in the words of the command's own options."""
    place = to_place(into)
    if SweepFolder.of(place).exists():
        raise UserError(f"--into {into}", "exists, and is no sweep", "name another folder")
    try:
        return Sweep.plan(study, str(place.parent), place.name)
    except UserError as error:
        raise UserError(f"--into {into}", error.problem, "name another folder") from None


def _study(
    path: str,
    name: str,
    model: str,
    data: str,
    mean: Sequence[float],
    std: Sequence[float],
    overrides: Mapping[str, Any],
) -> Study:
    """A study of one trial. There is no file of it: `study.yaml` has all of it."""
    normalisation = {"mean": list(mean), "std": list(std)} if mean else {}
    base = {
        "data": {"name": data, "validation": 0}, "model": {"name": model, **normalisation},
        "train": {"epochs": 1, "selection": "test"},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(dump({"title": f"Weights of {Path(path).name}", "base": base}), encoding="utf-8")
        try:
            return replace(Study.resolve(str(file), overrides=dict(overrides)), source="")
        except UserError as error:  # in which the file that nobody will find stands first
            where = error.where.removeprefix(file.name).removeprefix(" with --set").removeprefix(": ")
            raise UserError(where or "--set", error.problem, error.remedy) from None


def _checkpoint(
    study: Study, trial: Trial, weights: Mapping[str, torch.Tensor], path: str, digest: str
) -> tuple[dict[str, Any], str]:
    """The content of `best.pt`, and what is to be said of it."""
    config: TrialConfig = trial.config
    section, (channels, size, _) = config.model, config.data.shape
    plain = section.model_copy(update={"mean": (), "std": ()})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_model(section, config.data.num_classes, channels, size)
        inner = network.network if section.mean else network
        assert isinstance(inner, torch.nn.Module)
    note = fit(inner, weights, path, plain.name)
    prepared_data, source = prepared(config.data)
    images = TrialImages.of(config.model_copy(update={"data": prepared_data}), source, torch.device("cpu"))
    state = {
        "schema": SCHEMA, "epoch": 0, "config": config.as_json(), "data": as_state(images.identity),
        "model": network.state_dict(), "weights": {"file": str(path), "sha256": digest},
    }  # fmt: skip
    return state, note


def _require_same(sweep: Sweep, trial: Trial, digest: str, into: str) -> None:
    """Raise `UserError` unless a folder was made of the same weights, under the same config."""
    known = {other.name: other.config for other in sweep.trials()}
    best = sweep.folder.best(trial.name)
    try:
        held = load_state(best).get("weights", {}).get("sha256", "") if best.exists() else digest
    except DamagedCheckpoint as error:
        raise UserError(f"--into {into}", f"has damaged weights: {error}", "name another folder") from None
    if trial.name not in known or json.loads(known[trial.name].as_json()) != json.loads(trial.config.as_json()):
        raise UserError(f"--into {into}", "is another sweep", "name another folder")
    if held != digest:
        raise UserError(f"--into {into}", "was made of other weights", "name another folder")
