"""Python, and the packages that the program requires."""

import platform
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from tune_at.tuning.doctor.check import Check, Checks, State
from tune_at.version import __version__

ROOT = Path(__file__).parents[3]
SHOWN = ("torch", "torchvision", "ray", "optuna", "numpy", "pyarrow", "duckdb")
"""Packages whose versions are told; those that do not fit are told in any case."""


def versions() -> Checks:
    """Python, this program, and whether every package that it requires is there in a version that it requires."""
    wanted = (3, 11)
    fits = sys.version_info >= wanted
    state, remedy = (State.OK, "") if fits else (State.FAILED, "install Python 3.11 or newer")
    yield Check(state, "python", f"{platform.python_version()}, tune-at {__version__} in {ROOT}", remedy)
    known = ((name, _version(name)) for name in SHOWN)
    yield Check(State.OK, "packages", ", ".join(f"{name} {version}" for name, version in known if version))
    for name, problem in _unmet():
        yield Check(State.FAILED, name, problem, "pip install -c constraints.txt -e . in the program's folder")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _unmet() -> Iterator[tuple[str, str]]:
    """Packages that are not as they are required, and why."""
    from packaging.requirements import Requirement

    for line in _required():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if not found:
            yield requirement.name, f"is not installed; {requirement.specifier} is needed"
        elif not requirement.specifier.contains(found, prereleases=True):
            yield requirement.name, f"{found} is installed; {requirement.specifier} is needed"


def _required() -> list[str]:
    """The program's requirements: of the sources where they are, else of what was installed."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        listed: list[str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
        return listed
    try:
        return metadata.requires("tune-at") or []
    except metadata.PackageNotFoundError:
        return []
