"""Ray's token authentication: a private token for a Ray that we start, the user's token for one that we join.

Who can reach a Ray port without a token can run any code on the cluster. Ray writes `~/.ray/auth_token` readable by
everybody when it starts locally; here each local session has a token of its own in a file of mode 0600, so that
several run side by side, a home that cannot be written is no obstacle, and nothing is left behind.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tune_at.errors import UserError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
REMEDY = f"put the cluster's token into {TOKEN_PATH}'s file, ~/.ray/auth_token or {TOKEN}"


@contextmanager
def local_authentication() -> Iterator[None]:
    """For a Ray that we start: token authentication with a private token, for the block.

    `RAY_AUTH_MODE=disabled` in the environment is obeyed.
    """
    if os.environ.get(MODE, "token").lower() != "token":
        yield
        return
    with tempfile.TemporaryDirectory(prefix="tune-at-token-", ignore_cleanup_errors=True) as folder:  # mode 0700
        path = Path(folder) / "auth_token"
        write_token(path, secrets.token_hex(32))
        with _environment({MODE: "token", TOKEN: None, TOKEN_PATH: str(path)}):
            yield


@contextmanager
def cluster_authentication(authenticated: bool) -> Iterator[None]:
    """For a Ray that we join: speak as it does. A driver with a token loses its actors on a cluster without."""
    with _environment({MODE: "token" if authenticated else "disabled"}):
        yield


def write_token(path: Path, token: str) -> None:
    """Write a token so that at no moment anybody else can read it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)


def known_token() -> tuple[str, str]:
    """The user's token and where it was found, looked for where Ray looks; both empty if there is none."""
    if token := os.environ.get(TOKEN, "").strip():
        return token, TOKEN
    path = token_file()
    try:
        return path.read_text(encoding="utf-8").strip(), str(path)
    except FileNotFoundError:
        if os.environ.get(TOKEN_PATH):
            raise UserError(TOKEN_PATH, f"{path} does not exist", REMEDY) from None
        return "", ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(str(path), f"cannot be read: {error}", REMEDY) from None


def token_file() -> Path:
    """Where the token's file would be."""
    return Path(os.environ.get(TOKEN_PATH) or "~/.ray/auth_token").expanduser()


def readable_by_others(source: str) -> bool:
    """Whether the token was found in a file that other users of this machine can read."""
    return source != TOKEN and bool(Path(source).stat().st_mode & 0o077)


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    # Ray has read both when it was imported. This is what ray.init() itself calls after it has set the mode.
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
