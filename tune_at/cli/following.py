"""`status --watch`: the live view of a sweep from another terminal, until the sweep ends."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tune_at.cli.standing import Standing
from tune_at.tuning.live_page import clock, in_words
from tune_at.wording import trial_label

if TYPE_CHECKING:
    from rich.console import Console

    from tune_at.study.sweep import Sweep

SHARE = 4.0
"""Times as long as a look takes is waited before the next: a large sweep is not read without a break."""
NAMED = 4
"""Running trials that a line without a terminal names."""


def follow(sweep: "Sweep", seconds: float, console: "Console", sleep: Callable[[float], None] = time.sleep) -> Standing:
    """Show the sweep again every so many seconds while it runs; returns where it stands then.

    In a terminal as its driver shows it, without one in lines, as far as they are news.
    """
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    began = time.monotonic()
    standing = Standing.of(sweep)
    if not standing.running:
        return standing

    def picture() -> Group:
        title = Text(f"{sweep.study.title}: {sweep.name}", style="bold", no_wrap=True, overflow="ellipsis")
        return Group(title, standing.page().render(console.width, console.height - 1))

    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    said = ""
    try:
        if live:
            live.start()
        while standing.running:
            if live:
                live.update(picture(), refresh=True)
            elif (line := _line(standing)).partition("] ")[2] != said.partition("] ")[2]:
                console.print(said := line, soft_wrap=True, highlight=False, markup=False)
            sleep(max(seconds, SHARE * (time.monotonic() - began)))
            began = time.monotonic()
            standing = Standing.of(sweep)
    finally:
        if live:
            live.stop()
    return standing


def _line(standing: Standing) -> str:
    """`[12:10] 3 completed, 2 running, about 3 min left; 07-pgd_at-s0 12/45`: the page without a terminal."""
    page = standing.page()
    shown = [f"{trial_label(view.name)} {view.epoch}/{view.epochs}" for view in page.running[:NAMED]]
    more = [f"{len(page.running) - NAMED} more"] if len(page.running) > NAMED else []
    begun = "--:--" if page.elapsed is None else clock(page.elapsed)
    trials = f"; {', '.join(shown + more)}" if shown else ""
    return f"[{begun}] {in_words(page.counts)}, {page.left}{trials}"
