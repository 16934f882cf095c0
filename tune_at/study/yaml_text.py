"""YAML as studies use it: numbers and booleans of YAML 1.2, no key twice, no anchors written, plain messages."""

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from tune_at.errors import UserError

FLOAT = re.compile(
    r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
"""`1e-3` is a number, which YAML 1.1 reads as a string."""
INT = re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+")
"""`010` is ten and `1:30` is not a number; in YAML 1.1 they are eight and ninety."""
BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
"""`yes`, `no`, `on` and `off` are words, which fields of yes or no understand; in YAML 1.1 they are booleans."""

WORDS = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")


class StudyLoader(yaml.SafeLoader):
    """YAML lets a key stand twice and keeps the last; a study must not lose an axis that way."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is not a plain name", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class StudyDumper(yaml.SafeDumper):
    """Writes what `StudyLoader` and YAML 1.1 read back as it was; what stands in two places is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """No `&id001`."""
        return True


def _whole(loader: StudyLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def _number(loader: StudyLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).replace("_", "").lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


StudyLoader.yaml_implicit_resolvers = {
    first: kept
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] in ("timestamp", "merge")])
}
for _base in (StudyLoader, StudyDumper):
    for _tag, _pattern, _first in (
        ("bool", BOOL, "tTfF"),
        ("int", INT, "-+0123456789"),
        ("float", FLOAT, "-+0123456789."),
        ("null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ):
        _base.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern.pattern})$"), _first)
StudyLoader.add_constructor("tag:yaml.org,2002:int", _whole)
StudyLoader.add_constructor("tag:yaml.org,2002:float", _number)


def load(text: str, where: str) -> Any:
    """The value that a text of YAML stands for.

    Args:
        text: one document.
        where: what a mistake's line is put after, e.g. a file's path.

    Raises:
        UserError: a mistake in the text, with its line.
    """
    try:
        return yaml.load(text, Loader=StudyLoader)
    except yaml.YAMLError as error:
        line, problem, remedy = _explained(error, text)
        raise UserError(f"{where}, line {line}" if line else where, f"is not valid YAML: {problem}", remedy) from None
    except (ValueError, RecursionError) as error:
        raise UserError(where, f"cannot be read: {error}", "fix or quote that value") from None


def load_value(text: str, where: str) -> Any:
    """The value of one `--set`. Raises `UserError`."""
    try:
        return yaml.load(text, Loader=StudyLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(where, f"{text!r} is not a YAML value", "quote it for the shell") from None


def dump(tree: Any) -> str:
    """A tree of plain values as YAML, keys in their order, without anchors."""
    text: str = yaml.dump(tree, Dumper=StudyDumper, sort_keys=False)
    return text


def _explained(error: yaml.YAMLError, text: str) -> tuple[int, str, str]:
    """The line (from 1; 0 is unknown) of a mistake, what it is, and the remedy."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None) or ""
    line = mark.line + 1 if mark else 0
    written = text.splitlines()
    if "\\t" in problem or (mark and "\t" in _indent(written, mark.line)):
        return line, "a tab indents this line", "use spaces"
    opened = getattr(error, "context_mark", None)
    if "quoted scalar" in context and opened and "escape" not in problem:
        return opened.line + 1, "the quote that opens here is not closed", "close it, or quote the whole value"
    if opened and ("flow sequence" in context or "flow mapping" in context) and mark and opened.line != mark.line:
        what = "[" if "sequence" in context else "{"
        return line, f"{problem}; the {what} of line {opened.line + 1} is still open", "close it"
    return line, problem, "fix that line"


def _indent(lines: list[str], number: int) -> str:
    line = lines[number] if number < len(lines) else ""
    return line[: len(line) - len(line.lstrip())]


def in_version_1(value: Any, *, numbers: bool = False) -> Any:
    """A value as YAML 1.1 read it, and sweeps of schema version 1 recorded it: `yes` and `on` are true.

    With `numbers` text that reads as a number is one, as version 1 took it where a number is meant: for a comparison.
    """
    if isinstance(value, Mapping):
        return {key: in_version_1(item, numbers=numbers) for key, item in value.items()}
    if isinstance(value, list):
        return [in_version_1(item, numbers=numbers) for item in value]
    if isinstance(value, str) and WORDS.fullmatch(value):
        return yaml.safe_load(value)
    if numbers and isinstance(value, str) and (FLOAT.fullmatch(value) or INT.fullmatch(value)):
        return yaml.load(value, StudyLoader)
    return value
