"""`--notify CMD`: a command of the user's is run when a sweep ends, fails, or has a new best point.

It runs in a thread with a time limit, so that nothing of it holds up the sweep; one that fails or hangs is said once.
What was told is in `notices.json`, in the sweep's folder, and is not told again after `resume`. Imports no Ray.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tune_at.errors import UserError
from tune_at.scheduling.board import TrialState
from tune_at.scheduling.leaders import METRIC, Lead, Leaders
from tune_at.store.layout import SweepFolder
from tune_at.study.study import Study
from tune_at.wording import counted

LIMIT = 30.0
"""Seconds that a command may take; a driver waits at its end for one that runs, and for the last."""
HASTE = 5.0
"""Seconds of the same after SIGTERM: a batch system does not wait long."""

# SIGTERM is blocked here, and a blocked signal stays so in a new program: `timeout` and the like would not work.
START = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, ()); os.execv('/bin/sh', sys.argv[1:])"


class Notices:
    """Runs the command for each event, one after the other, while the sweep goes on."""

    def __init__(
        self, command: str, folder: SweepFolder, describe: Callable[[], Mapping[str, Any]], limit: float = LIMIT
    ) -> None:
        """`describe`: where the sweep stands, as plain values; it is called in the thread and may read the store."""
        self.command, self.folder, self.describe, self.limit = command, folder, describe, limit
        self.leaders: Leaders | None = None
        self.told: dict[str, Any] = {"best": {}, "ended": 0}
        self.begun = False
        """Whether there is a sweep to tell of: before that a mistake is told at the terminal."""
        self.waiting: list[dict[str, Any]] = []
        self.news = threading.Condition()
        self.closing, self.killed = False, threading.Event()
        self.problem = ""
        """What is wrong with the command, until it is said."""
        self.complained = False
        self.thread: threading.Thread | None = None

    def begin(self, study: Study, states: Iterable[TrialState]) -> None:
        """The sweep starts, or a further stage of it: what has ended by now is no news, unless nobody told of it."""
        known = self._recall()
        leaders = self.leaders = self.leaders or Leaders(study)
        for state in states:
            if state.ended:
                leaders.take(state)
        if not self.begun and known:
            for lead in leaders.news(self.told["best"]):
                self._tell_best(lead)
        elif not self.begun:
            self.told["best"] = dict(leaders.best)
        self.begun = True

    def look(self, ended: Iterable[TrialState]) -> None:
        """Trials have ended: tell of a new best point."""
        for state in ended:
            if self.leaders is not None and (lead := self.leaders.take(state)) is not None:
                self._tell_best(lead)

    def _tell_best(self, lead: Lead) -> None:
        before = "" if lead.before is None else f", before {lead.before:.1%}"
        spread = "" if lead.spread != lead.spread else f" ± {lead.spread:.1%}"
        seeds = "" if lead.seeds == 1 else f" ({counted(lead.seeds, 'seed')})"
        words = METRIC.replace("_", " ")
        text = f"new best: {lead.point}: {lead.mean:.1%}{spread} {words}{seeds}{before}"
        new = {k: None if v != v else v for k, v in asdict(lead).items() if k != "group"} | {"metric": METRIC}
        self.tell("best", text, {"best": {lead.group: (lead.point, lead.mean)}}, new=new)

    def ended(self, total: int, text: str) -> None:
        """Nothing is left to run of so many trials: tell it, unless that was told."""
        if not self.begun:
            self._recall()
        if self.told["ended"] != total:
            self.tell("end", text, {"ended": total})

    def tell(
        self, event: str, text: str, then: Mapping[str, Any] | None = None, described: bool = True, **more: Any
    ) -> None:
        """Run the command for an event, soon.

        Args:
            event: `best`, `end` or `fail`.
            text: it in one line.
            then: what is recorded as told by it.
            described: whether the command is also given where the sweep stands: not where its storage has failed.
            more: further keys of what the command is given.
        """
        with self.news:
            best = dict((then or {}).get("best", {}))
            for item in [item for item in self.waiting if item["event"] == "best"]:  # a slow command hears the last
                best = item["then"]["best"] | best
                self.waiting.remove(item)
            how = {"then": {**(then or {}), "best": best}, "described": described}
            self.waiting.append({"event": event, "text": f"{self.folder.name}: {text}", **how, **more})
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="tune-at-notices", daemon=True)
                self.thread.start()
            self.news.notify()

    def complaint(self) -> str:
        """What is wrong with the command, once; empty if nothing is, or it was said."""
        problem, self.problem = self.problem, ""
        if not problem or self.complained:
            return ""
        self.complained = True
        return f"--notify: {problem}; the sweep goes on, and this is not said again"

    def close(self, haste: bool = False) -> None:
        """Wait for the commands that are under way or due, not long; then kill what is left, with its children."""
        if self.thread is None:
            return
        with self.news:
            self.closing = True
            self.news.notify()
        try:
            self.thread.join(HASTE if haste else 2 * self.limit + 1)
        finally:  # Ctrl-C: at once
            self.killed.set()
            self.thread.join(1.0)

    def _recall(self) -> bool:
        """Read what earlier drivers have told; whether there is such a record."""
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, UserError):
            found = json.loads(self.folder.notices.read_bytes())
            best = {str(group): (str(name), float(mean)) for group, (name, mean) in found["best"].items()}
            self.told = {"best": best, "ended": int(found["ended"])}
            return True
        return False

    def _work(self) -> None:
        while True:
            with self.news:
                while not self.waiting and not self.closing:
                    self.news.wait()
                if not self.waiting:
                    return
                item = self.waiting.pop(0)
            then, described = item.pop("then"), item.pop("described")
            with contextlib.suppress(UserError, OSError):  # what can be said without the tables is said
                item = {**(self.describe() if described else {}), **item}
            self.problem = self._run(item) or self.problem
            self.told["best"] |= then["best"]
            self.told["ended"] = then.get("ended", self.told["ended"])
            with contextlib.suppress(UserError, OSError):
                if any(then.values()):
                    self.folder.notices.write_whole(json.dumps(self.told, indent=1).encode(), patience=HASTE)
            if self.killed.is_set():
                return

    def _run(self, item: Mapping[str, Any]) -> str:
        """Run the command once; what was wrong with it, if anything."""
        environment = {
            **os.environ,
            "TUNE_AT_EVENT": str(item["event"]), "TUNE_AT_TEXT": str(item["text"]), "TUNE_AT_SWEEP": str(self.folder),
        }  # fmt: skip
        # Files, not pipes: a command that reads nothing, or leaves something in the background, blocks nobody.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write(json.dumps(item, allow_nan=False).encode() + b"\n")
            given.seek(0)
            try:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", START, "sh", "-c", self.command],
                    stdin=given, stdout=subprocess.DEVNULL, stderr=errors, env=environment, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                return f"the command cannot be run: {error.strerror}"
            in_time = self._wait(process.pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # its number is not given to another before it is reaped
            code = process.wait()
            if not in_time:
                return "" if self.killed.is_set() else f"the command did not end within {self.limit:g} s and was killed"
            errors.seek(0)
            said: Sequence[str] = errors.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(said) if line.strip()), "")
            return f"the command ended with exit code {code}" + f": {last[:200]}" * bool(last) if code else ""

    def _wait(self, pid: int) -> bool:
        """Whether a process has ended in time. It is not reaped yet."""
        deadline = time.monotonic() + self.limit
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > deadline or self.killed.wait(0.02):
                return False
        return True
