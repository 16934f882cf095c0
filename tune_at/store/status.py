"""What becomes of a trial, in one word."""

from enum import StrEnum


class Status(StrEnum):
    """A trial's status. Those of the `trials` table keep their values: sweeps of all versions are read by them."""

    PENDING = "pending"
    """Planned, or drawn by a search, and not started."""
    RUNNING = "running"
    """Started and not at its end. A sweep that is killed leaves it in the table."""
    COMPLETED = "completed"
    """Ran to its last epoch."""
    STOPPED = "stopped"
    """Stopped early, by a scheduler."""
    DIVERGED = "diverged"
    """A loss was not finite."""
    FAILED = "failed"
    """Raised, or lost its worker too often; `resume` tries it again."""

    PAUSED = "paused"
    """Shown only: running, but without a worker until it has been judged."""
    INTERRUPTED = "interrupted"
    """Shown only: running, in a sweep that is not."""
    STORAGE = "storage"
    """In a worker's message only: its storage has failed, and the trial is as it was."""

    @property
    def ended(self) -> bool:
        """Whether the trial does not run on in this session."""
        return self in (Status.COMPLETED, Status.STOPPED, Status.DIVERGED, Status.FAILED)

    @property
    def final(self) -> bool:
        """Whether `resume` leaves the trial alone."""
        return self.ended and self is not Status.FAILED

    @property
    def void(self) -> bool:
        """Whether what the trial has reached counts for nothing: it cannot win, and ranks nowhere."""
        return self in (Status.DIVERGED, Status.FAILED)
