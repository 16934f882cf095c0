"""Storage that fails: waiting while it may pass, and one line once it does not."""

import errno
import logging
import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from tune_at.errors import UserError
from tune_at.store.failures import StorageFailed

PATIENCE_VARIABLE = "TUNE_AT_STORAGE_PATIENCE"
"""Environment variable: seconds for which a failing read or write is tried again."""

DEFAULT_PATIENCE = 60.0
"""Its default, in seconds."""

LONGEST_PAUSE = 8.0
"""Seconds between two tries at the most; the first pauses are shorter."""

FULL = {errno.ENOSPC, errno.EDQUOT}

PASSING = FULL | {
    errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT,
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN, errno.EREMOTEIO,
}  # fmt: skip
"""Errors of a file system that may be gone a moment later."""

NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}

# What object stores answer when a second try would get the same answer. The rest (5xx, SLOW_DOWN, the network) passes.
REFUSED = re.compile(
    r"ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN|EXPIRED_TOKEN|"
    r"MISSING_AUTHENTICATION|UNRECOGNIZED_CLIENT|InvalidBucketName|HTTP status (?:30\d|4(?!08|29)\d\d)|"
    r"curlCode: (?:1|3|35|58|60|77)\b|PERMISSION_DENIED|UNAUTHENTICATED"
)

LOGGER = logging.getLogger("tune_at.store")

T = TypeVar("T")


def storage_patience() -> float:
    """Seconds for which failing storage is tried again. Raises `UserError` if the variable is not such a number."""
    text = os.environ.get(PATIENCE_VARIABLE, "")
    try:
        seconds = float(text or DEFAULT_PATIENCE)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise UserError(PATIENCE_VARIABLE, f"{text!r} is no number of seconds", "set it to 60, or to 0 for no waiting")
    return seconds


def patiently(
    where: object,
    action: Callable[[], T],
    *,
    patience: float | None = None,
    expected: tuple[type[Exception], ...] = (FileNotFoundError,),
) -> T:
    """The result of `action`, which is called again after growing pauses while its storage fails.

    Args:
        where: the place, as its user knows it.
        action: reads or writes; may be called many times.
        patience: seconds in all; None stands for `TUNE_AT_STORAGE_PATIENCE`.
        expected: exceptions that the caller handles; they are raised as they are.

    Raises:
        StorageFailed: the error will not pass, or has not passed in time.
    """
    left = storage_patience() if patience is None else patience
    deadline, pause = time.monotonic() + left, 0.1
    told = False
    while True:
        try:
            return action()
        except expected:
            raise
        except (OSError, pa.ArrowException) as error:
            if not may_pass(error) or time.monotonic() >= deadline:
                raise StorageFailed(str(where), storage_problem(error), remedy(error)) from error
            if not told and pause > 0.3:  # a hiccup is not worth a line
                told = True
                LOGGER.warning("storage: %s: %s; trying again for %.0f s", where, storage_problem(error), left)
        time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
        pause = min(1.7 * pause, LONGEST_PAUSE)


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed a little later."""
    if isinstance(error, OSError) and error.errno:
        return error.errno in PASSING
    return isinstance(error, OSError) and not REFUSED.search(str(error))


def storage_problem(error: Exception) -> str:
    """An error of the storage in one line, without request ids and details."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    lines = str(error).splitlines() or [type(error).__name__]
    text = re.sub(r"; Details:.*|\s*\(Request ID.*?\)", "", lines[0])
    if text.startswith("google::"):
        text = text.partition("with a last message of ")[2].partition(". ")[0] or text
    text = text[:300]
    aws = re.search(r"AWS Error (\w+)(.*?) during (\w+) operation: ?(.*)", text)
    return f"{aws[1]}{aws[2]} in {aws[3]}: {aws[4]}".rstrip(": .") if aws else text


def remedy(error: Exception) -> str:
    """What to do about an error."""
    number = error.errno if isinstance(error, OSError) else None
    if number in FULL:
        return "free space, then try again"
    if number in NO_RIGHT:
        return "make it writable, then try again"
    if "NO_SUCH_BUCKET" in str(error):
        return "create the bucket, or name another"
    if "OAuth2 access token" in str(error):
        return "let GOOGLE_APPLICATION_CREDENTIALS name a key file, or run `gcloud auth application-default login`"
    if number is None and REFUSED.search(str(error)):
        return "check the credentials and what they may do, then try again"
    return "see that it is there and can be used, then try again"
