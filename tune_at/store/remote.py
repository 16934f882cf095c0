"""Object stores by `pyarrow.fs`: an address such as `s3://bucket/folder?region=…`.

An object appears whole or not at all, under its own name, in one step: that is what the rest relies on. Addresses
travel between processes as plain strings; each process opens its own connection with credentials of its own
surroundings, so no secret is ever part of a place.
"""

import errno
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote

import pyarrow as pa

from tune_at.errors import UserError, suggestion
from tune_at.store.connection import OPTIONS, open_filesystem
from tune_at.store.credentials import credentials_remedy
from tune_at.store.failures import StorageFailed
from tune_at.store.patience import patiently

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}


class RemotePlace:
    """An object, or all objects under a prefix, of an object store."""

    def __init__(self, scheme: str, path: str, query: str = "", filesystem: "FileSystem | None" = None) -> None:
        """`path`: bucket/key. `filesystem`: instead of the one that the scheme and the query stand for."""
        self.scheme, self.path, self.query = scheme, path, query
        self._filesystem = filesystem

    @classmethod
    def parse(cls, uri: str) -> "RemotePlace":
        """The place of an address. Raises `UserError`, whose text has no part of a secret, for one to be refused."""
        scheme, _, rest = uri.partition("://")
        scheme = ALIASES.get(scheme.lower(), scheme.lower())
        path, _, query = rest.partition("?")
        if scheme not in OPTIONS:
            known = ", ".join(f"{name}://" for name in ("file", *OPTIONS))
            raise UserError(f"{scheme}://", "is an unknown kind of storage", f"known: {known} and plain folders")
        bucket = path.partition("/")[0]
        if "@" in bucket or "@" in unquote(query):
            raise UserError(f"{scheme}://", "has a user or password in it", credentials_remedy(scheme))
        parts = [unquote(part) for part in path.split("/") if part]
        if not bucket or {".", ".."} & set(parts):
            raise UserError(f"{scheme}://{path}", "names no bucket and folder", f"write {scheme}://BUCKET/FOLDER")
        for key, _ in parse_qsl(query, keep_blank_values=True):
            if key not in OPTIONS[scheme]:
                secret = any(word in key.lower() for word in ("key", "secret", "token", "password", "credential"))
                where = f"{scheme}://{path}?{key}="
                if secret:
                    raise UserError(where, "is no place for a secret", credentials_remedy(scheme))
                raise UserError(where, "is unknown", suggestion(key, OPTIONS[scheme]))
        return cls(scheme, "/".join(parts), query)

    def __str__(self) -> str:
        return self.without_query + (f"?{self.query}" if self.query else "")

    @property
    def without_query(self) -> str:
        """The address without what tells how to get there."""
        return f"{self.scheme}://{quote(self.path, safe='/=+,~!$()*:;@')}"

    def __repr__(self) -> str:
        return f"RemotePlace({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePlace) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __lt__(self, other: "RemotePlace") -> bool:
        return str(self) < str(other)

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePlace.parse, (str(self),)  # the connection, which may know a secret, stays here

    def __truediv__(self, name: str) -> "RemotePlace":
        return self._at(f"{self.path}/{name}")

    def _at(self, path: str) -> "RemotePlace":
        return RemotePlace(self.scheme, path, self.query, self._filesystem)

    @property
    def parent(self) -> "RemotePlace":
        """The folder that this is in; a bucket is in itself."""
        return self._at(self.path.rpartition("/")[0] or self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name[: -len(self.suffix)] if self.suffix else self.name

    @property
    def suffix(self) -> str:
        """The name's end from its last dot on, or nothing."""
        head, dot, tail = self.name.rpartition(".")
        return dot + tail if head and tail else ""

    def with_suffix(self, suffix: str) -> "RemotePlace":
        """The place beside this one with another suffix."""
        return self.parent / (self.stem + suffix)

    def resolve(self) -> "RemotePlace":
        """An address is the same everywhere."""
        return self

    @property
    def filesystem(self) -> "FileSystem":
        """The connection, which the process opens once. Raises `UserError` where there are no credentials."""
        if self._filesystem is None:
            self._filesystem = open_filesystem(self.scheme, self.query)
        return self._filesystem

    def info(self, patience: float | None = None) -> Any:
        """The `pyarrow.fs.FileInfo`. Raises `StorageFailed` after `patience` seconds."""
        filesystem = self.filesystem
        return patiently(self, lambda: filesystem.get_file_info(self.path), patience=patience)

    def exists(self) -> bool:
        """Whether there is an object of this name, or one below it."""
        return self.info().type.name != "NotFound"

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        return bool(self.info().type.name == "File")

    def read_bytes(self, changes: bool = True) -> bytes:
        """The object's content. Raises `FileNotFoundError`, or `StorageFailed`.

        `changes`: whether the object may be replaced; of one that never is, no second look at its size is needed.
        """
        filesystem = self.filesystem

        def read() -> bytes:
            for _ in range(20):
                with filesystem.open_input_file(self.path) as file:
                    data: bytes = file.read_at(file.size(), 0)
                # The size was asked for first: of an object that was replaced in between, only a part has come.
                if not changes or filesystem.get_file_info(self.path).size == len(data):
                    return data
            raise TimeoutError(errno.ETIMEDOUT, "it is replaced faster than it can be read")

        return patiently(self, read)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The object's content as text."""
        return self.read_bytes().decode(encoding)

    def write_whole(self, data: bytes | bytearray | memoryview, patience: float | None = None) -> None:
        """Make `data` the object's content, in one step. Raises `StorageFailed` after `patience` seconds."""
        filesystem = self.filesystem

        def put() -> None:
            stream = filesystem.open_output_stream(self.path, compression=None)
            stream.write(pa.py_buffer(data))
            stream.close()  # only here does the object appear; not reached after an error

        patiently(self, put, patience=patience, expected=())

    def extend(self, data: bytes | bytearray | memoryview, kept: int, patience: float | None = None) -> None:
        """Make `data` the object's content; an object cannot grow, so it is replaced."""
        self.write_whole(data, patience)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object. Raises `FileNotFoundError` unless that is ok, or `StorageFailed`."""
        filesystem = self.filesystem
        try:
            patiently(self, lambda: filesystem.delete_file(self.path))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def files(self, prefix: str = "", suffix: str = "") -> "list[RemotePlace]":
        """The objects right below this with names of this beginning and end, sorted."""
        from pyarrow.fs import FileSelector

        filesystem, selector = self.filesystem, FileSelector(self.path, allow_not_found=True)
        found = patiently(self, lambda: filesystem.get_file_info(selector))
        names = sorted(info.base_name for info in found if info.type.name == "File")
        return [self / name for name in names if name.startswith(prefix) and name.endswith(suffix)]

    def below(self, suffix: str = "") -> "dict[str, RemotePlace]":
        """All objects below this with names of this end, by their path from here, sorted."""
        from pyarrow.fs import FileSelector

        filesystem, selector = self.filesystem, FileSelector(self.path, allow_not_found=True, recursive=True)
        infos = patiently(self, lambda: filesystem.get_file_info(selector))
        paths = (info.path.removeprefix(f"{self.path}/") for info in infos if info.type.name == "File")
        return {path: self / path for path in sorted(paths) if path.endswith(suffix)}

    def folders(self) -> "list[RemotePlace]":
        """The names right below this under which there are objects, sorted."""
        from pyarrow.fs import FileSelector

        filesystem, selector = self.filesystem, FileSelector(self.path, allow_not_found=True)
        found = patiently(self, lambda: filesystem.get_file_info(selector))
        return [self / name for name in sorted(info.base_name for info in found if info.type.name == "Directory")]

    def sizes(self) -> dict[str, int]:
        """The bytes of all objects below this, by their path from here."""
        from pyarrow.fs import FileSelector

        filesystem, selector = self.filesystem, FileSelector(self.path, allow_not_found=True, recursive=True)
        infos = patiently(self, lambda: filesystem.get_file_info(selector))
        return {info.path.removeprefix(f"{self.path}/"): info.size for info in infos if info.type.name == "File"}

    def move_to(self, target: Any) -> None:
        """Copy the object to another name, then remove it. Raises `FileNotFoundError`, or `StorageFailed`."""
        filesystem = self.filesystem
        patiently(self, lambda: filesystem.move(self.path, target.path))

    def remove_tree(self) -> None:
        """Remove all objects below this."""
        filesystem = self.filesystem
        patiently(self, lambda: filesystem.delete_dir_contents(self.path, missing_dir_ok=True))

    def require_bucket(self) -> None:
        """First contact, without patience: raise `StorageFailed` where the store cannot be reached or has no bucket."""
        bucket = self._at(self.path.partition("/")[0])
        if bucket.info(patience=0).type.name == "NotFound":
            raise StorageFailed(bucket.without_query, "there is no such bucket", "create it, or name another")
