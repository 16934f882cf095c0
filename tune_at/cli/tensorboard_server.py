"""TensorBoard as a process of its own: started, waited for, and ended with this one."""

import importlib.util
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType

from tune_at.errors import UserError

ADDRESS = re.compile(r" at (https?://\S+)")
"""How TensorBoard tells where it is, as soon as it can be asked."""

PATIENCE = 10.0
"""Seconds that it has to end by itself."""

KEPT = {"scalars": 1000, "text": 1000}
"""Points of a tag that are kept: of texts it would keep ten, where a trial of PBT has a decision every few epochs."""


class TensorBoardServer:
    """Runs while it is entered. Raises `UserError` if it cannot be started."""

    def __init__(self, logdir: Path, host: str, port: int | None) -> None:
        """`port`: None is the first free one from 6006 on."""
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError("tensorboard", "is not installed", "run `make setup` again, or `pip install tensorboard`")
        self.command = [
            sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", host,
            "--samples_per_plugin", ",".join(f"{plugin}={number}" for plugin, number in KEPT.items()),
            "--reload_multifile", "true", *(() if port is None else ("--port", str(port))),
        ]  # fmt: skip
        self.lines: deque[str] = deque(maxlen=20)
        self.address = ""
        self.told = threading.Event()

    def __enter__(self) -> "TensorBoardServer":
        # Not of this terminal's group: Ctrl-C reaches us, and we end it.
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True, preexec_fn=_take_sigterm,
        )  # fmt: skip
        try:
            threading.Thread(target=self._listen, daemon=True).start()
            self.told.wait()
            if not self.address:
                raise UserError("tensorboard", self.why(), "name another with --port or --host")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.strip())
            if not self.address and (found := ADDRESS.search(line)):
                self.address = found[1]
                self.told.set()
        self.told.set()

    @property
    def running(self) -> bool:
        """Whether it has not ended by itself."""
        return self.process.poll() is None

    def why(self) -> str:
        """Why it has ended: the last that it has said."""
        errors = [line for line in self.lines if line and "TensorFlow installation not found" not in line]
        return errors[-1].removeprefix("ERROR: ").rstrip(".") if errors else "has ended without a word"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _take_sigterm() -> None:
    # We block it: `tune_at.tuning.interruption`.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
