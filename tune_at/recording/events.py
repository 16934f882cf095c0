"""An event file of TensorBoard, on any storage.

Its bytes are kept here, so that a write which failed is made again, and an object is replaced by a longer one. A trial
writes tens of kilobytes in hundreds of epochs.
"""

import io
import os
import socket
import time
import uuid

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from tune_at.store.layout import EVENTS
from tune_at.store.place import Place


class EventFile:
    """Summaries in one file of a folder; nothing is written before `flush`."""

    def __init__(self, folder: Place, name: str = "") -> None:
        """`name`: what the file's name ends with; by default nothing that was there before."""
        unique = f"{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        self.place = folder / f"{EVENTS}{name or unique}"
        self.bytes = io.BytesIO()
        self.records = RecordWriter(self.bytes)
        self.stored = 0
        """Bytes that are in the file."""
        self.records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def add(self, summary: Summary, step: int = 0) -> None:
        """Take a summary of an epoch."""
        self.records.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())

    def flush(self, patience: float | None = None) -> None:
        """Write what is new, so that a TensorBoard that watches sees it. Raises `StorageFailed`, by default after
        `TUNE_AT_STORAGE_PATIENCE` seconds.
        """
        data = self.bytes.getvalue()
        if len(data) > self.stored:
            self.place.extend(data, self.stored, patience)
            self.stored = len(data)
