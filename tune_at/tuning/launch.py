"""How a sweep is started: what `sweep` and `resume` take from the command line beside the study. Imports no Ray."""

from argparse import Namespace
from dataclasses import dataclass

from tune_at.tuning.cluster.address import parse_address


@dataclass(frozen=True)
class Launch:
    """Where and how trials run. Nothing in here changes a number in a result."""

    address: str = ""
    """Cluster to join, `HOST:PORT` or `auto`; empty starts a fresh Ray on this machine."""
    concurrency: int = 0
    """Trials at a time at most; 0 is as many as fit."""
    ship_data: bool = False
    """Whether data sets go to the workers through Ray's object store, so that only this machine needs their files."""
    fail_fast: bool = False
    """Whether the first failed trial stops the sweep."""

    @classmethod
    def of(cls, arguments: Namespace) -> "Launch":
        """The launch options of parsed arguments. Raises `UserError` for an address that can be none."""
        if arguments.address not in ("", "auto"):
            parse_address(arguments.address, f"--address {arguments.address}")
        return cls(arguments.address, arguments.concurrency, arguments.ship_data, arguments.fail_fast)
