"""How a sweep is started: what `sweep` and `resume` take from the command line beside the study. Imports no Ray.

Where the data is, and whether it is shipped, is recorded in the sweep's folder, so that a plain `resume` starts it as
before. The address of a cluster, the number of trials at a time and the command of notices are of one start alone; a
command that is printed names them.
"""

import json
import os
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

from tune_at.errors import UserError
from tune_at.store.files import write_whole
from tune_at.store.layout import SweepFolder
from tune_at.tuning.cluster.address import parse_address
from tune_at.wording import program, shell

DATA_VARIABLE = "TUNE_AT_DATA"
"""Environment variable: the folder of the data sets; workers inherit it."""


@dataclass(frozen=True)
class Launch:
    """Where and how trials run. Nothing in here changes a number in a result."""

    address: str = ""
    """Cluster to join, `HOST:PORT` or `auto`; empty starts a fresh Ray on this machine."""
    concurrency: int = 0
    """Trials at a time at most; 0 is as many as fit."""
    ship_data: bool | None = None
    """Whether data sets go to the workers through Ray's object store, so that only this machine needs their files;
    None is as recorded, and no for a new sweep."""
    fail_fast: bool = False
    """Whether the first failed trial stops the sweep."""
    data_dir: str = ""
    """The folder of the data sets as given with `--data-dir`, absolute; empty if it was not."""
    as_recorded: bool = False
    """Whether a study's file that has changed since is passed over."""
    notify: str = ""
    """Command that is told of the sweep's end and of new best points; see `tune_at.tuning.notices`."""
    quiet: bool = False
    """Whether nothing but failures is printed."""
    trials: int = 0
    """Points that a search is to be extended to, as long as that is not recorded; 0 leaves it as it is."""

    @classmethod
    def of(cls, arguments: Namespace) -> "Launch":
        """The launch options of parsed arguments. Raises `UserError` for an address or a command that can be none."""
        if arguments.address not in ("", "auto"):
            parse_address(arguments.address, f"--address {arguments.address}")
        notify = getattr(arguments, "notify", None)
        if notify is not None and not notify.strip():
            raise UserError("--notify", "is empty", "give a command, as in --notify 'notify-send \"$TUNE_AT_TEXT\"'")
        given = arguments.data_dir
        return cls(
            address=arguments.address,
            concurrency=arguments.concurrency,
            ship_data=arguments.ship_data,
            fail_fast=getattr(arguments, "fail_fast", False),
            data_dir=absolute(given) if given else "",
            as_recorded=getattr(arguments, "as_recorded", False),
            notify=notify or "",
            quiet=getattr(arguments, "quiet", False),
            trials=getattr(arguments, "trials", 0),
        )

    def completed(self, folder: SweepFolder) -> "Launch":
        """With what was not given now as `folder` records it; sets the data's folder for this process and its workers.

        Given now comes before given then, and that before the environment. Raises `UserError` for a damaged record.
        """
        known = _recorded(folder)
        data = self.data_dir or known.get("data_dir", "")
        where = data or os.environ.get(DATA_VARIABLE) or known.get("environment_data_dir", "")
        if where:
            os.environ[DATA_VARIABLE] = absolute(where)
        ship = self.ship_data if self.ship_data is not None else bool(known.get("ship_data", False))
        return replace(self, data_dir=data, ship_data=ship)

    def files(self, folder: SweepFolder, reads: bool = True) -> dict[str, bytes]:
        """What a later `resume` needs, as a file of the sweep's folder by its name; none if it needs nothing.

        `reads`: whether the sweep's data is looked for in the folder that the environment names, if no other is given.
        """
        content = {
            "data_dir": self.data_dir,
            "environment_data_dir": os.environ.get(DATA_VARIABLE, "") if reads and not self.data_dir else "",
            "ship_data": bool(self.ship_data),
        }
        return {folder.launch.name: json.dumps(content, indent=1).encode()} if any(content.values()) else {}

    def record(self, folder: SweepFolder, reads: bool = True) -> None:
        """Write `files` into a sweep's folder that has something else."""
        for name, data in self.files(folder, reads).items():
            if not (folder / name).exists() or (folder / name).read_bytes() != data:
                write_whole(folder / name, data)
        if not self.files(folder, reads):
            folder.launch.unlink(missing_ok=True)


def _recorded(folder: SweepFolder) -> dict[str, str]:
    """What an earlier start has recorded; nothing for a new sweep, or one of an older version."""
    try:
        record: dict[str, str] = json.loads(folder.launch.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        remedy = "remove it, and give --data-dir and --ship-data again if the sweep was started with them"
        raise UserError(str(folder.launch), "is damaged", remedy) from None
    return record


def absolute(folder: str) -> str:
    """A path that means the same from every working folder."""
    return str(Path(folder).expanduser().resolve())


def resume_command(folder: SweepFolder, launch: Launch | None = None) -> str:
    """The command that continues a sweep as it was started, ready to be pasted into a shell.

    The paths in it are whole, unless this program itself is called by a path of the working folder.
    """
    launch = launch or Launch()
    words = program()
    place = folder.place
    here = Path.cwd()
    near = words[-1] == "run.py" and isinstance(place, Path) and place.is_relative_to(here)
    words += ["resume", str(place.relative_to(here) if near and isinstance(place, Path) else place)]
    if launch.trials:
        words += ["--trials", str(launch.trials)]
    if launch.as_recorded:
        words += ["--as-recorded"]
    if launch.address:
        words += ["--address", launch.address]
    if launch.concurrency:
        words += ["--concurrency", str(launch.concurrency)]
    if launch.notify:
        words += ["--notify", launch.notify]
    return shell(*words)
