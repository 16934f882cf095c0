"""`studies [NAME …]`: a preset of all studies that have it, how long each takes, and whether the finding shows."""

import json
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tune_at.cli.command import Command
from tune_at.errors import UserError, suggestion
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
    parser.add_argument("--preset", default="laptop", help="of the studies that have it (default: laptop)")
    parser.add_argument(
        "--storage", default="runs/studies", metavar="DIR", help="where they go (default: runs/studies)"
    )


def run(arguments: Namespace) -> int:
    """Run them; what has ended is not run again, what has not is resumed. 1 if one has failed."""
    from analysis.findings import find
    from analysis.frames import load_frames
    from tune_at.study.file import SHIPPED, read_study

    preset = arguments.preset
    presets = {path.stem: read_study(path).presets for path in sorted(SHIPPED.glob("*.yaml"))}
    shipped = [name for name, known in presets.items() if preset in known]
    if not shipped:
        every = sorted({known for names in presets.values() for known in names})
        raise UserError("--preset", f"{preset!r} is of no study", suggestion(preset, every))
    for name in arguments.names:
        if name not in shipped:
            problem = f"{name!r} has no preset {preset}" if name in presets else f"{name!r} is unknown"
            raise UserError("studies", problem, suggestion(name, shipped))
    folder, lines, failed = Path(arguments.storage), [], False
    of_preset = [] if preset == "laptop" else ["--preset", preset]
    again = shell(*program(), "studies", *arguments.names, *of_preset, "--storage", arguments.storage)
    interruption.last_words(f"interrupted; continue with: {again}")
    for name in arguments.names or shipped:
        code, took = _run(folder, name, preset)
        if code == INTERRUPTED:
            return code
        failed |= code != 0
        finding = find(name, load_frames(str(folder / folder_name(name, preset)))) if code == 0 else None
        told = f"{finding.outcome}: {finding.numbers}" if finding else f"failed with exit code {code}"
        lines.append(f"{name:24} {duration(took):>8}  {told}")
        print(lines[-1], flush=True)
    print("\n".join(["", *lines]))
    return int(failed)


def folder_name(study: str, preset: str) -> str:
    """What the sweep of a study's preset is called: `mitigation`, `mitigation-cifar`."""
    return study if preset == "laptop" else f"{study}-{preset}"


def _run(storage: Path, study: str, preset: str) -> tuple[int, float]:
    """Begin or resume a study, evaluate what belongs to it; exit code and seconds, those of earlier calls, too."""
    from tune_at.store.files import write_whole
    from tune_at.study.sweep import Sweep

    name = folder_name(study, preset)
    folder, took = storage / name, storage / f"{name}.json"
    before = float(json.loads(took.read_text())) if took.is_file() else 0.0
    began, code = time.monotonic(), 0
    try:
        if not folder.exists():
            code = _call("sweep", study, "--preset", preset, "--storage", str(storage), "--name", name)
        elif (sweep := Sweep.open(str(folder))).left():
            code = _call("resume", str(folder))
        else:
            sweep.require_unchanged()
        if code == 0 and study in EVALUATED:
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


COMMAND = Command("studies", "run a preset of all studies, and say whether the paper's findings show", add_options, run)
