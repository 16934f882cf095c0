"""What a sweep's folder records of learning curves from elsewhere, which no study of ours has trained."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImportedCurves:
    """Where curves came from and how they were read; in `study.yaml` it stands in place of axes and a search.

    The trials themselves are the rows of the table `trials`: of their configs only that is known which was told.
    """

    source: str
    """The file or folder, as it was typed."""
    trials: int
    """How many there are."""
    selection: str
    """The split on which trials are judged, `validation` or `test`."""
    arguments: Sequence[str] = ()
    """The options of `import`, for whoever imports them again."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Their columns → ours, of those that have another name here."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Our names of trials → theirs, where theirs cannot be the name of a file."""

    def as_record(self) -> dict[str, Any]:
        """Plain values for YAML."""
        return {**asdict(self), "arguments": list(self.arguments)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> "ImportedCurves | None":
        """What `as_record` gave; None for a sweep that was trained here."""
        return None if record is None else cls(**record)
