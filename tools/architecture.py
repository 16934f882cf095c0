"""The rooms of the code and the imports between them, read from the source: held to the rules, and drawn.

What each room is for, and the order in which they may import each other, stands in docs/architecture.md and is read
from there: the page is the rule, and tests/tools/test_architecture.py holds the code against it.
`python -m tools.architecture` draws the page's picture again.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("tune_at", "analysis", "benchmarks", "tools")
FACE = "tune_at"
"""The module that hands names on when they are first used: it belongs to no room."""


@dataclass(frozen=True)
class Import:
    """One module naming another. `line` is where."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module.replace('.', '/')}.py:{self.line} imports {self.target}"


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The project's modules by dotted name, `run` among them."""
    known = {"run": root / "run.py"}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            known[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return known


def imports(known: Mapping[str, Path]) -> Iterator[Import]:
    """Every import of one of the project's modules by another: inside functions and for type checks alone, too."""
    for item in _written(known):
        # `from package import module` names the module, not the package.
        target = item.target if item.target in known else item.target.rpartition(".")[0]
        if target in known and target != item.module:
            yield replace(item, target=target)


def outside(known: Mapping[str, Path], package: str) -> Iterator[Import]:
    """Every import of a package that is not ours, such as `ray`."""
    return (item for item in _written(known) if item.target.partition(".")[0] == package)


def _written(known: Mapping[str, Path]) -> Iterator[Import]:
    """What each import statement names, down to the name that it takes out of a module."""
    for module, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (Import(module, alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (Import(module, f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@dataclass(frozen=True)
class Room:
    """One line of the page's list: a folder, or the files at the root of `tune_at/`."""

    name: str
    paths: tuple[str, ...]
    purpose: str

    def holds(self, module: str) -> bool:
        """Whether a module is in this room."""
        return any(module == path or module.startswith(f"{path}.") for path in self.paths)


def rooms(page: Path = PAGE) -> list[Room]:
    """The rooms as the page lists them, from the top floor down: rows of `| room | files | what for |`."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \| (.+?) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [
        Room(
            name,
            tuple(p.removesuffix("/").removesuffix(".py").replace("/", ".") for p in re.findall(r"`(.+?)`", files)),
            what,
        )
        for name, files, what in rows
    ]


def room_of(module: str, known: list[Room]) -> Room | None:
    """The room of a module; None for the face of `tune_at`, and for what the page forgot."""
    return None if module == FACE else next((room for room in known if room.holds(module)), None)


def between(listed: list[Room], all_imports: list[Import]) -> dict[tuple[str, str], list[Import]]:
    """The imports from room to room, by the two rooms' names."""
    arrows: dict[tuple[str, str], list[Import]] = {}
    for item in all_imports:
        here, there = room_of(item.module, listed), room_of(item.target, listed)
        if here and there and here is not there:
            arrows.setdefault((here.name, there.name), []).append(item)
    return arrows


def circles(all_imports: list[Import]) -> list[list[str]]:
    """Groups of modules that import each other in a loop (strongly connected components, by Tarjan)."""
    targets: dict[str, list[str]] = {}
    for item in all_imports:
        targets.setdefault(item.module, []).append(item.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    loops: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in targets.get(module, []):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                loops.append(sorted(group))

    for module in targets:
        if module not in index:
            visit(module)
    return loops


def direct(arrows: Mapping[tuple[str, str], object]) -> list[tuple[str, str]]:
    """The arrows that no detour over other rooms replaces: what is drawn, since the rest follows from them."""
    below: dict[str, set[str]] = {}
    for a, b in arrows:
        below.setdefault(a, set()).add(b)

    def reaches(a: str, b: str) -> bool:
        return any(c == b or reaches(c, b) for c in below.get(a, ()))

    return [(a, b) for a, b in arrows if not any(c != b and reaches(c, b) for c in below[a])]


def diagram(listed: list[Room], arrows: Mapping[tuple[str, str], object]) -> str:
    """The drawing, in Mermaid's language: a box a room, an arrow an import that does not follow from others."""
    drawn = direct(arrows)
    lines = ["flowchart TD"]
    for room in listed:
        if any(room.name in arrow for arrow in arrows):
            lines.append(f'    {_key(room)}["<b>{room.name}</b><br/>{room.purpose.partition(";")[0]}"]')
    keys = {room.name: _key(room) for room in listed}
    lines += [f"    {keys[a]} --> {keys[b]}" for a, b in sorted(drawn, key=lambda arrow: _places(listed, arrow))]
    return "\n".join(lines)


def _key(room: Room) -> str:
    return room.name.replace(".", "_")


def _places(listed: list[Room], arrow: tuple[str, str]) -> list[int]:
    order = [room.name for room in listed]
    return [order.index(name) for name in arrow]


def main() -> None:
    """Draw the page's picture again."""
    listed = rooms()
    block = f"```mermaid\n{diagram(listed, between(listed, list(imports(modules()))))}\n```"
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"```mermaid\n.*?```", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
