"""The blocks of code on the pages: what each is, what it says of being run, and the commands in it."""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

MARK = re.compile(r"^<!-- (not|partly) run: (\S.*?) -->$")
"""Above a block. `not run`: nothing of it is. `partly run`: what only reads is, what trains is not."""

PROGRAMS = (
    ("python", "make", "tune-at", "tensorboard", "ray", "pip", "mkdir", "sbatch", "git", "jupyter", ".venv/bin/python")
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block: its page, the line on which it begins, the language that it names, and its mark (`not`, `partly`)."""

    page: str
    line: int
    language: str
    text: str
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def kind(self) -> str:
        """`shell`, `python`, `yaml`, or `other`, such as what a command prints."""
        if self.language:
            named = {"sh": "shell", "bash": "shell", "console": "shell", "python": "python", "yaml": "yaml"}
            return named.get(self.language, "other")
        first = self.text.split(maxsplit=1)[0]
        if any(line.startswith("$ ") for line in self.text.splitlines()) or first in PROGRAMS:
            return "shell"
        return "python" if first in ("from", "import") else "other"

    def commands(self) -> list[list[str]]:
        """The words of each command; quotes may go over lines, and what else is there was printed."""
        lines = self.text.splitlines()
        prompted = any(line.startswith("$ ") for line in lines)
        found = []
        while lines:
            line = lines.pop(0)
            if not line.strip() or (prompted and not line.startswith("$ ")):
                continue
            line = line.removeprefix("$ ")
            while (words := _words(line)) is None:
                line += f"\n{lines.pop(0)}"
            if words:
                found.append(words)
        return found


def _words(text: str) -> list[str] | None:
    """As the shell splits them; None if a quote is still open."""
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return None


def blocks_of(text: str, page: str = "") -> list[Block]:
    """The fenced and the indented blocks of a page."""
    found: list[Block] = []
    lines = text.splitlines()
    mark = ""
    place = 0
    while place < len(lines):
        line = lines[place]
        begin = place
        if fence := re.match(r"^(`{3,}|:{3,})(\S*)", line):
            place += 1
            while not lines[place].startswith(fence[1]):
                place += 1
            found.append(Block(page, begin + 1, fence[2], "\n".join(lines[begin + 1 : place]), mark))
            mark = ""
        elif line.startswith("    ") and (place == 0 or not lines[place - 1].strip()):
            while place + 1 < len(lines) and (lines[place + 1].startswith("    ") or not lines[place + 1].strip()):
                place += 1
            body = "\n".join(one[4:] for one in lines[begin : place + 1]).rstrip()
            found.append(Block(page, begin + 1, "", body, mark))
            mark = ""
        elif marked := MARK.match(line):
            mark = marked[1]
        elif line.strip():
            mark = ""
        place += 1
    return found


def all_blocks() -> list[Block]:
    """Every block of every page. Results are made by the commands on their pages: nobody runs them again."""
    found = []
    for path in PAGES:
        made = path.parent.name == "results"
        blocks = blocks_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
        found += [replace(block, mark="not") for block in blocks] if made else blocks
    return found


def ours(words: list[str]) -> list[str] | None:
    """The arguments of a command that is this program's; None for other programs."""
    words = words[next((place for place, word in enumerate(words) if not re.match(r"^\w+=", word)), 0) :]
    if words[:1] == ["tune-at"]:
        return words[1:]
    return words[2:] if words[:1] in (["python"], [".venv/bin/python"]) and words[1:2] == ["run.py"] else None
