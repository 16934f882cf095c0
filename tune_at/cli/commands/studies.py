"""`studies [NAME …]`: the laptop presets of all studies, how long each takes, and whether the paper's finding shows."""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tune_at.cli.command import Command
from tune_at.errors import UserError, suggestion
from tune_at.store.files import write_whole
from tune_at.tuning import interruption
from tune_at.wording import duration, program, shell

EVALUATED = ("mitigation", "comparison", "architectures_and_norms")
"""Studies that answer a table of attacks."""
EXAMPLES = "100"
"""Test images that are attacked."""
INTERRUPTED = 130
PROGRAM = "from tune_at.cli.main import main; main()"


def add_options(parser: ArgumentParser) -> None:
    """Which studies, and where they go."""
    parser.add_argument("names", nargs="*", metavar="STUDY", help="only these (default: all)")
    parser.add_argument(
        "--storage", default="runs/studies", metavar="DIR", help="where they go (default: runs/studies)"
    )


def run(arguments: Namespace) -> int:
    """Run them; what has ended is not run again, what has not is resumed. 1 if one has failed."""
    from analysis.findings import find
    from analysis.frames import load_frames
    from tune_at.study.file import SHIPPED, read_study

    shipped = [path.stem for path in sorted(SHIPPED.glob("*.yaml")) if "laptop" in read_study(path).presets]
    for name in arguments.names:
        if name not in shipped:
            raise UserError("studies", f"{name!r} is unknown", suggestion(name, shipped))
    folder, lines, failed = Path(arguments.storage), [], False
    again = shell(*program(), "studies", *arguments.names, "--storage", arguments.storage)
    interruption.last_words(f"interrupted; continue with: {again}")
    for name in arguments.names or shipped:
        code, took = _run(folder, name)
        if code == INTERRUPTED:
            return code
        failed |= code != 0
        finding = find(name, load_frames(str(folder / name))) if code == 0 else None
        told = f"{finding.outcome}: {finding.numbers}" if finding else f"failed with exit code {code}"
        lines.append(f"{name:24} {duration(took):>8}  {told}")
        print(lines[-1], flush=True)
    print("\n".join(["", *lines]))
    return int(failed)


def _run(storage: Path, name: str) -> tuple[int, float]:
    """Begin or resume a study, evaluate what belongs to it; exit code and seconds, those of earlier calls, too."""
    from tune_at.study.sweep import Sweep

    folder, took = storage / name, storage / f"{name}.json"
    before = float(json.loads(took.read_text())) if took.is_file() else 0.0
    began, code = time.monotonic(), 0
    try:
        if not folder.exists():
            code = _call("sweep", name, "--preset", "laptop", "--storage", str(storage), "--name", name)
        elif (sweep := Sweep.open(str(folder))).left():
            code = _call("resume", str(folder))
        else:
            sweep.require_unchanged()
        if code == 0 and name in EVALUATED:
            code = _call("evaluate", str(folder), "-n", EXAMPLES)
    except UserError as error:
        remedy = f"remove {shell(folder)} to run it from nothing, or name another --storage"
        print(f"tune-at: error: {UserError(error.where, error.problem, remedy)}", file=sys.stderr)
        code = 2
    finally:
        seconds = before + time.monotonic() - began
        if folder.exists():
            write_whole(took, json.dumps(seconds).encode())
    return code, seconds


def _call(*arguments: str) -> int:
    """A command of this program in a process of its own: each starts and ends a Ray of its own.

    Interrupted, it is waited for: it leaves its checkpoints and ends its Ray.
    """
    command = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments])
    try:
        return command.wait()
    except KeyboardInterrupt:
        if interruption.terminated():  # a terminal's Ctrl-C goes to both, SIGTERM perhaps to this process alone
            command.terminate()
        command.wait()
        raise


COMMAND = Command("studies", "run all laptop presets, and say whether the paper's findings show", add_options, run)
