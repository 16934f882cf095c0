"""A study as a sweep's folder records it: YAML whose first line carries the digest of the rest."""

import hashlib
import re
from typing import Any

from tune_at.config.probes import probe_tree
from tune_at.config.tree import Tree
from tune_at.config.versions import FIRST, recorded, require_known
from tune_at.errors import UserError
from tune_at.study.yaml_text import dump, load
from tune_at.version import __version__


def digest(text: str) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def parts(study: Any) -> Tree:
    """All that a `Study` consists of, as plain values."""
    return {
        "study": study.name, "title": study.title, "paper": study.paper, "preset": study.preset,
        "source": study.source, "overrides": dict(study.overrides), "base": study.base,
        "axes": {k: list(v) for k, v in study.axes.items()}, "seeds": study.seeds, "figures": study.figures,
        "stages": {stage: dict(changes) for stage, changes in study.stages.items()},
        "search": recorded(study.search, study.schema), "scheduler": recorded(study.scheduler, study.schema),
        **({"probes": [probe_tree(probe) for probe in study.probes]} if study.probes else {}),
        **({"earlier": list(study.earlier)} if study.earlier else {}),
        **({"curves": study.curves.as_record()} if study.curves else {}),
        **({"data": known} if (known := study.data.as_record()) else {}),
        **({"schema": study.schema} if study.schema > FIRST else {}),  # which version 1 did not write
    }  # fmt: skip


def signed(tree: Tree, configs: str) -> str:
    """The record of a study's parts. `configs`: a digest of the configs that they resolve to."""
    body = dump({**tree, "tune_at": __version__, "configs": configs})
    return f"# digest: {digest(body)}\n{body}"


def unsigned(text: str, where: str) -> tuple[dict[str, Any], int]:
    """The parts of a study that `signed` recorded, in this version or an older one, and its schema version.

    Raises:
        UserError: the text was edited since, or a newer version wrote it.
    """
    named = re.search(r"^schema: *(\d+) *$", text, re.MULTILINE)  # a newer record may differ in all else
    schema = require_known(int(named[1]) if named else None, where)
    head, _, body = text.partition("\n")
    if head.removeprefix("# digest: ").strip() != digest(body):
        raise UserError(where, "was changed after its sweep began", "undo the change, or start a new sweep with --name")
    return load(body, where), schema


def require_same_configs(tree: Tree, configs: str, where: str) -> None:
    """Raise `UserError` if a recorded study resolves to other configs by now."""
    if configs != tree["configs"]:
        raise UserError(
            where,
            f"a default has changed between tune-at {tree['tune_at']} and {__version__}",
            f"continue it with version {tree['tune_at']}",
        )
