"""The page of `analysis.load` and of every figure with its functions, made from the registries in `analysis/`."""

from analysis.figures import FIGURES
from analysis.tables import TABLES

HEAD = """\
# Results in Python

`analysis.load` gives all of a sweep, in a notebook or a script. Each figure has two halves that work alone: `prepare_…`
makes the numbers, a tidy DataFrame, and `draw_…` the picture of such a frame. Neither torch nor Ray is needed.

```python
from analysis.figures.generalization_gap import draw_generalization_gap, prepare_generalization_gap
from analysis.frames import load_frames

frame = prepare_generalization_gap(load_frames("runs/NAME"))
draw_generalization_gap(frame).savefig("gap.png")
```

`python -m tools.reference` makes this page from the code.

## A sweep

```{eval-rst}
.. autofunction:: analysis.load
.. autoclass:: analysis.loaded.LoadedSweep
   :members:
   :exclude-members: at
.. autoclass:: analysis.loaded.PaperTable
   :members:
.. autofunction:: analysis.at_epochs.best_trials
.. autofunction:: analysis.at_epochs.best_points
.. autofunction:: analysis.at_epochs.final_trials
.. autofunction:: analysis.frames.load_frames
.. autoclass:: analysis.frames.Frames
```

## Figures
"""

TABLES_HEAD = """\
## Tables

```{eval-rst}
.. autofunction:: analysis.tables.prepare_table
.. autofunction:: analysis.tables.draw_table
```

| table | in the paper | what it shows |
|---|---|---|"""


def render() -> str:
    """The page, as Markdown."""
    parts = [HEAD]
    known: set[str] = set()
    for entry in FIGURES.values():
        figure = entry.load()
        where = "" if entry.source == "ours" else f" ({entry.source})"
        halves = [f"{half.__module__}.{half.__qualname__}" for half in (figure.prepare, figure.draw)]
        # Some figures share a half; it is documented once.
        lines = [f".. autofunction:: {half}" for half in halves if half not in known]
        known |= set(halves)
        parts.append(f"### {entry.name}\n\n{entry.summary[:1].upper()}{entry.summary[1:]}{where}.\n")
        parts.append("\n".join(["```{eval-rst}", *lines, "```", ""]))
    rows = [f"| `{entry.name}` | {entry.source} | {entry.summary} |" for entry in TABLES.values()]
    return "\n".join([*parts, TABLES_HEAD, *rows, ""])
