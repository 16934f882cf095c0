"""Ctrl-C, and SIGTERM as a batch system sends it: at any moment the program ends with one line and exit code 130.

SIGTERM is blocked in all threads and taken by one of ours, which interrupts the main thread as Ctrl-C does. A handler
would not be enough: while Ray starts, its native code sets another one, which prints its stack and ends the process.
Imports no Ray, and nothing heavy: what comes before it is not protected.
"""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PARTING = 20.0
"""Seconds after SIGTERM at which the program ends even if it waits for something that does not answer.

A batch system may have killed Ray's processes with the same signal; Slurm and Kubernetes kill after 30 s."""
CODE = 130
"""Exit code of an interrupted program."""


class _Interruption:
    """What is known of signals in this process."""

    def __init__(self) -> None:
        self.active = False
        self.held = False
        """Whether the main thread must not be interrupted now."""
        self.pending = False
        """Whether it was to be, meanwhile."""
        self.ending = False
        """Whether all is said and done, and the interpreter is being taken down."""
        self.closing = False
        self.words = "interrupted"
        self.scratch = ""
        self.timer: threading.Timer | None = None

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT, in the main thread."""
        if self.ending:
            os._exit(CODE)
        if self.held:
            self.pending = True
            return
        raise KeyboardInterrupt

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM where a thread that is older than `interruptible` has not blocked it."""
        self.limit()
        self.interrupt(number, frame)

    def limit(self) -> None:
        """Give the program `PARTING` seconds from the first SIGTERM on."""
        if self.timer is None:
            self.timer = threading.Timer(PARTING, self.part)
            self.timer.daemon = True
            self.timer.start()

    def wait(self) -> None:
        """Take SIGTERM again and again, in a thread of its own."""
        while True:
            signal.sigwait({signal.SIGTERM})
            if self.closing:
                return
            if self.ending:
                os._exit(CODE)
            self.limit()
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)

    def part(self) -> None:
        """End the program now. Ray's processes on this machine end with it."""
        print(f"tune-at: {self.words}", file=sys.stderr, flush=True)
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
        os._exit(CODE)

    def after_fork(self) -> None:
        """A child process, such as Ray's, is ended by SIGTERM as any other."""
        if self.active:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


_STATE = _Interruption()
os.register_at_fork(after_in_child=lambda: _STATE.after_fork())


@contextmanager
def interruptible(program: bool) -> Iterator[None]:
    """Ctrl-C and SIGTERM raise `KeyboardInterrupt` in the main thread, for the block.

    `program`: whether this process ends with the block; until it is gone, signals then end it without a word.
    Enter it before other threads are started. Does nothing in another thread than the main one, or within itself.
    """
    global _STATE
    if threading.current_thread() is not threading.main_thread() or _STATE.active:
        yield
        return
    _STATE = _Interruption()
    _STATE.active = True
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    before = signal.signal(signal.SIGINT, _STATE.interrupt), signal.signal(signal.SIGTERM, _STATE.terminate)
    taker = threading.Thread(target=_STATE.wait, daemon=True)
    taker.start()
    try:
        yield
    finally:
        calm()
        if program:
            sys.stdout.flush()
            signal.signal(signal.SIGINT, _STATE.interrupt)
            _STATE.ending = True
        else:
            _STATE.active, _STATE.closing = False, True
            assert taker.ident is not None
            signal.pthread_kill(taker.ident, signal.SIGTERM)
            taker.join()
            signal.signal(signal.SIGINT, before[0])
            signal.signal(signal.SIGTERM, before[1])
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Interruptions wait until the block has ended: for what cannot be undone half-way."""
    _STATE.held, _STATE.pending = True, False
    try:
        yield
    finally:
        _STATE.held = False
        if _STATE.pending:
            raise KeyboardInterrupt


@contextmanager
def own_handlers() -> Iterator[None]:
    """Undo what the block does to the handling of SIGINT and SIGUSR1: Tune sets its own and leaves them behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def last_words(words: str = "", scratch: str | None = None) -> str:
    """What is said if the program is interrupted now; set by `words`.

    `scratch`: a folder to remove where the program has to end at once.
    """
    _STATE.words = words or _STATE.words
    _STATE.scratch = _STATE.scratch if scratch is None else scratch
    return _STATE.words


def end() -> None:
    """From now on a signal ends the process at once, without a word."""
    _STATE.ending = _STATE.active


def terminated() -> bool:
    """Whether SIGTERM has come, not Ctrl-C alone."""
    return _STATE.timer is not None


def calm() -> None:
    """After SIGTERM nothing is waited for any more that may not answer: the program ends by itself."""
    if _STATE.timer is not None:
        _STATE.timer.cancel()
