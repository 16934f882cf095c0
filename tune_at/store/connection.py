"""Connections to object stores, one a process and address."""

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pyarrow as pa

from tune_at.errors import UserError
from tune_at.store.credentials import require_s3_credentials

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CONNECT_SECONDS = 3.0
REQUEST_SECONDS = 10.0
"""Time that one request may take to connect, and to go on; ours are the retries after that."""

GCS_RETRY_SECONDS = 2.0
"""Time for which Google's library tries again; it also looks for credentials as long, more than once."""

OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "region": str,
        "scheme": str,
        "endpoint_override": str,
        "force_virtual_addressing": lambda text: text.lower() in ("true", "1"),
        "tls_ca_file_path": str,
    },
    "gs": {"scheme": str, "endpoint_override": str, "project_id": str},
}
"""What an address may say after its `?`, by scheme. None of it is a secret, and nothing else is accepted."""


@lru_cache(maxsize=16)
def open_filesystem(scheme: str, query: str) -> "FileSystem":
    """The connection of an address: few retries and short timeouts, since `patiently` stands above it."""
    from pyarrow import fs

    options = {key: OPTIONS[scheme][key](value) for key, value in parse_qsl(query)}
    try:
        if scheme == "s3":
            require_s3_credentials()
            return fs.S3FileSystem(
                connect_timeout=CONNECT_SECONDS,
                request_timeout=REQUEST_SECONDS,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
                allow_delayed_open=True,  # a small object is one request
                **options,
            )
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=GCS_RETRY_SECONDS), **options)
    except (OSError, pa.ArrowException, ValueError) as error:
        line = str(error).splitlines()[0]
        raise UserError(f"{scheme}://", f"cannot be opened: {line}", "check what stands after the ?") from None
