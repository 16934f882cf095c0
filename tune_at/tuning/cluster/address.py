"""The address of a Ray cluster as a user writes it. Imports no Ray, so that a slip is answered at once."""

import re

from tune_at.errors import UserError


def parse_address(address: str, source: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; `source`: where the address stands. Raises `UserError`."""
    parts = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s:/\[\]]+):(\d{1,5})", address)
    if not parts or not 0 < int(parts[2]) < 65536:
        remedy = "write HOST:PORT, such as 10.0.0.5:6379, or auto"
        if address.startswith("ray://"):
            remedy = "Ray Tune runs on a node of the cluster, so log in there and write HOST:6379, or auto"
        raise UserError(source, f"{address!r} is no HOST:PORT", remedy)
    return parts[1].strip("[]"), int(parts[2])
