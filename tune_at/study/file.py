"""Reading studies: finding the file, YAML with its line numbers, and `--set`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tune_at.config.section import Whole
from tune_at.config.validation import user_error
from tune_at.errors import UserError, suggestion
from tune_at.study.yaml_text import load, load_value

SHIPPED = Path(__file__).parents[2] / "search_spaces"
"""The folder of the studies that come with the program."""

Seed = Annotated[Whole, Field(ge=0, lt=2**63)]


class StudyFile(BaseModel):
    """The keys of a study's YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    title: str
    """One line that says what is studied: `title: Robust overfitting of TRADES`."""
    paper: str = ""
    """The places of the paper that the study answers, such as `Fig. 2a, 2b`."""
    base: dict[str, Any] = {}
    """The trial that all points begin from: sections and keys as below."""
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Dotted path → values; the full grid is run."""
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    """Every point is run once for each."""
    presets: dict[str, dict[str, Any]] = {}
    """Name → overrides of axes, seeds, and keys of `base`, for `--preset NAME`."""
    stages: dict[str, dict[str, Any]] = {}
    """Run one after the other, each with its own overrides of base and axes; later ones may learn from earlier ones."""
    search: dict[str, Any] = {}
    """How points are chosen, `{name: grid | random | optuna, ...}`; without it, the grid of the axes."""
    scheduler: dict[str, Any] = {}
    """What is stopped early, `{name: fifo | asha | hyperband | median | pbt, ...}`."""
    figures: list[str] = []
    """What `report` draws into files: `python run.py list figures`."""
    probes: list[Any] = []
    """What is measured beside accuracy, each a name or `{name: NAME, every: 5, samples: 500}`."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("it names a seed twice")
        return seeds

    @field_validator("search", "scheduler", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


def find_study(study: str) -> Path:
    """The file of a study given by a shipped name or by a path."""
    path = Path(study)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if not path.is_file():
            raise UserError("study", f"no file {study}", "`python run.py list studies` names the shipped ones")
        return path
    shipped = {p.stem: p for p in sorted(SHIPPED.glob("*.yaml"))}
    if study not in shipped:
        here = next((file for suffix in (".yaml", ".yml") if (file := Path(f"{study}{suffix}")).is_file()), None)
        raise UserError(
            "study", f"{study!r} is unknown", f"did you mean {here}?" if here else suggestion(study, shipped)
        )
    return shipped[study]


def read_study(path: Path) -> StudyFile:
    """Read a study's file. Raises `UserError` with file and line for a syntax error."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(str(path), f"cannot be read: {error}", "name a text file in UTF-8") from None
    tree = load(text, str(path))
    if not isinstance(tree, dict):
        raise UserError(str(path), "holds no study", "write title, base, axes and presets; see docs/studies.md")
    try:
        return StudyFile.model_validate(tree)
    except ValidationError as error:
        raise user_error(error, StudyFile, path.name) from None


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """`["a.b=c", …]` as a mapping; values are YAML, so numbers, lists and true/false are themselves."""
    overrides: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not path.strip():
            raise UserError("--set", f"{pair!r} is not an assignment", "write --set data.noise_rate=0.4")
        overrides[path.strip()] = load_value(text, f"--set {path}")
    return overrides
