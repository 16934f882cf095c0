"""What TensorBoard's HParams page is told: each key with one type, and each trial with a name that no other has.

The page sorts and filters in one Python list, so that numbers and strings under one key raise. A key's type therefore
follows from the config's schema alone: it is right before the first value is known, in all sweeps under one folder.
"""

import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel
from tensorboard.plugins.hparams import api_pb2

from tune_at.config.section import SELECTION_SPLITS
from tune_at.config.space import Distribution, Range
from tune_at.config.tree import Tree, leaves
from tune_at.config.trial import TrialConfig
from tune_at.recording.spec import TrialSpec
from tune_at.store.place import LocalPlace
from tune_at.store.status import Status
from tune_at.study.overrides import KNOWN
from tune_at.study.sampling import mutations_of
from tune_at.study.study import Study

KINDS = ("natural", "robust")

JUDGED, GAP = "1_selection", "2_gap"
"""Groups of tags that come first: what trials are judged by, and train - test accuracy."""

STOPPED = "stopped/after_epoch"
"""The tag of the epoch after which a scheduler has stopped a trial."""

STATUS, SWEEP = "Status", "Sweep"
"""The keys of a trial's status, which the page's own statuses do not tell, and of its sweep's name. Capitals come first
where the page sorts, and are no keys of a config."""

STATUSES = (Status.RUNNING, Status.COMPLETED, Status.STOPPED, Status.DIVERGED, Status.FAILED)

LISTED = 10
"""From as many values on the page asks for a pattern instead of listing them, which numbers cannot match."""

Value = bool | float | str

_DATA_TYPES = {bool: api_pb2.DATA_TYPE_BOOL, float: api_pb2.DATA_TYPE_FLOAT64, str: api_pb2.DATA_TYPE_STRING}


@cache
def key_types() -> dict[str, type[bool] | type[float] | type[str]]:
    """Each dotted path of a config and the one type of its values: `bool`, `float`, or `str` for anything else.

    A key that takes numbers and words, such as `data.subset`, is a string.
    """
    scalars: dict[str, set[type]] = {}
    for path, annotation in _annotations(TrialConfig):
        scalars.setdefault(path, set()).update(_scalars(annotation))
    return {p: bool if kinds == {bool} else float if kinds <= {int, float} else str for p, kinds in scalars.items()}


def _annotations(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted path, annotation) of each key that is not a section, over all members of unions."""
    for name, field in model.model_fields.items():
        sections = list(_sections(field.annotation))
        for section in sections:
            yield from _annotations(section, f"{prefix}{name}.")
        if not sections:
            yield prefix + name, field.annotation


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _sections(part)


def _scalars(annotation: Any) -> set[type]:
    """The types of an annotation's values but None; `str` stands for all that is neither number nor truth value."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _scalars(parts[0])
    if origin is Literal:
        return {type(value) for value in parts} - {types.NoneType}
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(_scalars, parts))
    if annotation is types.NoneType:
        return set()
    return {annotation if annotation in (bool, int, float) else str}


def typed(path: str, value: Any) -> Value | None:
    """A value as the key's type; None for one that is not set, which HParams takes as missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if key_types().get(path, str) is str:
        return value if isinstance(value, str) else json.dumps(value)
    return bool(value) if key_types()[path] is bool else float(value)


def hparams(config: Tree) -> dict[str, Value]:
    """A config's leaves as HParams takes them. Keys that are not set are left out."""
    return {path: as_typed for path, value in leaves(config) if (as_typed := typed(path, value)) is not None}


def session_name(spec: TrialSpec) -> str:
    """A trial's name on the page, unique among all sweeps: TensorBoard takes equal names for one trial, and averages.

    `demo/00-pgd_at-s0 (1f09c2)`: two folders may have sweeps of one name, hence the digest of the folder's address.
    """
    place = spec.place.place
    address = str(place.absolute()) if isinstance(place, LocalPlace) else place.without_query
    return f"{spec.sweep}/{spec.trial} ({hashlib.sha256(address.encode()).hexdigest()[:6]})"


def metric_names(selection: str, older: bool = False) -> dict[str, str]:
    """The metrics of the page by their tags, with their names there; the first five are shown until others are chosen.

    Args:
        selection: `train.selection`, by which the best epoch is found.
        older: whether the trials are of version 0.1, which had another tag for the gap.
    """
    split = SELECTION_SPLITS[selection]
    gap = GAP.partition("_")[2] if older else GAP
    names = {
        f"best/{split}_robust_accuracy": f"best {split} robust",
        f"{split}/robust_accuracy": f"final {split} robust",
        f"{gap}/robust": "final robust gap",
        "best/epoch": "best epoch",
        "test/robust_accuracy": "final test robust",
    }
    for kind in reversed(KINDS):
        for other in ("test", "val", "train"):
            names.setdefault(f"best/{other}_{kind}_accuracy", f"best epoch's {other} {kind}")
            names.setdefault(f"{other}/{kind}_accuracy", f"final {other} {kind}")
    names[f"{gap}/natural"] = "final natural gap"
    return names if older else {**names, STOPPED: "stopped after epoch"}


def experiment(studies: Mapping[str, Study], older: bool = False) -> "api_pb2.Experiment":
    """The declaration of the page: the keys that vary, between what, and the metrics.

    A key that is the same everywhere is left out: the page would show it among its first few. So is what no trial has:
    the parallel coordinates show only trials that have a value on each axis.

    Args:
        studies: by the names of their sweeps; of several, their trials stand on one page.
        older: whether the trials are of version 0.1, which have neither `STATUS` nor `SWEEP`.
    """
    values: dict[str, dict[Value, None]] = {STATUS: dict.fromkeys(map(str, STATUSES)), SWEEP: dict.fromkeys(studies)}
    drawn: dict[str, Distribution] = {}
    metrics: dict[str, str] = {}
    for study in studies.values():
        for path, known in _known_values(study).items():
            values.setdefault(path, {}).update(known)
        drawn |= _drawn(study)
        for tag, name in metric_names(study.selection, older).items():
            metrics.setdefault(tag, name)
    hidden = (STATUS, SWEEP) if older else ()
    infos = [
        _declared(path, list(known), drawn.get(path))
        for path, known in values.items()
        if len(known) > 1 and path not in hidden
    ]
    tags = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name) for tag, name in metrics.items()]
    return api_pb2.Experiment(hparam_infos=infos, metric_infos=tags)


def _known_values(study: Study) -> dict[str, dict[Value, None]]:
    """The values of each key that are known before anything is drawn."""
    values: dict[str, dict[Value, None]] = {}
    seen: set[int] = set()
    for trial in study.ladder.all() if study.ladder else study.trials() or study.samples():
        sections = {id(getattr(trial.config, name)) for name in TrialConfig.model_fields if name != "seed"}
        if sections <= seen:
            continue  # of ten thousand points of a grid most share all their sections with others
        seen |= sections
        for path, value in hparams(trial.config.as_tree()).items():
            values.setdefault(path, {})[value] = None
    values.setdefault("seed", {}).update(dict.fromkeys(map(float, study.seeds)))
    for path, distribution in _drawn(study).items():
        corners = (typed(path, corner) for corner in distribution.corners())
        values.setdefault(path, {}).update({corner: None for corner in corners if corner is not None})
    return values


def _drawn(study: Study) -> dict[str, Distribution]:
    """What a search draws, and what exploits change, by the keys of a config; sections' names are none."""
    drawn = study.space | mutations_of(study.scheduler, KNOWN, study.origin)
    return {path: distribution for path, distribution in drawn.items() if path in key_types()}


def _declared(path: str, values: list[Value], drawn: Distribution | None) -> "api_pb2.HParamInfo":
    kind = key_types().get(path, str)
    info = api_pb2.HParamInfo(name=path, type=_DATA_TYPES[kind], differs=True)
    if kind is bool:
        info.domain_discrete.extend([False, True])
    elif kind is str:
        # A range whose values are strings: what lies within is named, so that it can be chosen.
        info.domain_discrete.extend(sorted({*map(str, values), *_within(drawn)}))
    elif isinstance(drawn, Range) or not 1 < len(values) < LISTED:
        numbers = [float(value) for value in values]
        info.domain_interval.min_value, info.domain_interval.max_value = min(numbers), max(numbers)
    else:
        info.domain_discrete.extend(sorted(float(value) for value in values))
    return info


def _within(drawn: Distribution | None) -> Iterable[str]:
    if isinstance(drawn, Range) and drawn.whole and drawn.high - drawn.low <= 1000:
        return map(str, range(int(drawn.low), int(drawn.high) + 1))
    return ()
