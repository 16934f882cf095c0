"""What can be wrong with a sweep's folder: storage that fails, a lock that somebody holds, a file that is damaged."""

from tune_at.errors import UserError
from tune_at.wording import shell


class StorageFailed(UserError):
    """A place that cannot be read or written, though it was given time. What has been written stays whole."""

    @property
    def parts(self) -> list[str]:
        """`StorageFailed(*parts)` is this error again; exceptions themselves do not travel between processes."""
        return [self.where, self.problem, self.remedy]


class Locked(UserError):
    """The sweep is being run by another process."""

    def __init__(self, folder: object, holder: str) -> None:
        shown = shell("python", "run.py", "status", folder)
        remedy = f"wait for it, or stop it; `{shown}` shows how far it is"
        super().__init__(str(folder), f"is being run by process {holder}", remedy)

    def __reduce__(self) -> tuple[type["Locked"], tuple[str, str]]:  # type: ignore[override]
        """Rebuilt from the folder and the holder, not from the parts of the line."""
        return type(self), (self.where, self.problem.removeprefix("is being run by process "))


class DamagedPart(UserError):
    """A file of the store that cannot be read back whole."""
