"""Words in what is printed."""

import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """A duration to about two digits: `40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def assignments(values: Mapping[str, Any]) -> str:
    """Values by dotted path in one line: `optim.lr=0.05, objective.beta=6`."""
    return ", ".join(f"{path}={v:.6g}" if isinstance(v, float) else f"{path}={v}" for path, v in values.items())


def shell(*words: object) -> str:
    """A command line that can be pasted into a POSIX shell, whatever is in its words: spaces, quotes, `?`, `$`.

    Every command and every path that a user is told to type goes through here. A word that would begin with `-` and
    is no option has to be preceded by `--` or written as a path (`./-name`) by the caller.
    """
    return shlex.join(str(word) for word in words)


def program() -> list[str]:
    """How this program is called, so that the words can be pasted: `python run.py`, or `tune-at` if installed alone.

    The path of `run.py` is whole unless it lies in the working folder.
    """
    script = Path(__file__).parents[1] / "run.py"
    installed = Path(sys.argv[0]).name == "tune-at" and shutil.which("tune-at")
    if installed or not script.is_file():
        return ["tune-at"]
    return ["python", "run.py" if script.parent == Path.cwd() else str(script)]


def shortened(text: str, width: int) -> str:
    """A text of at most `width` characters: its middle becomes `…`, for names tell apart at both ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return text[: width - 1 - tail] + "…" + text[len(text) - tail :]


def trial_label(name: str) -> str:
    """A trial's name as it is shown: `00-eps=8/255-s0`, where files have `8_255`."""
    return re.sub(r"(=\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)(?=-|$)", r"\1/\2", name)
