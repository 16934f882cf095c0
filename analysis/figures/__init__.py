"""The registry of figures."""

from tune_at.registry import Entry, Registry

FIGURES = Registry(
    "figure",
    Entry(
        "memorization_curves",
        object,
        "analysis.figures.memorization_curves:FIGURE",
        "Fig. 2a, 2b",
        "training accuracy by epoch, true against random labels, a panel an objective",
    ),
    Entry(
        "generalization_gap",
        object,
        "analysis.figures.generalization_gap:FIGURE",
        "Fig. 2c",
        "natural and robust train - test gap against the noise rate, with spread over seeds",
    ),
    Entry(
        "early_stopping",
        object,
        "analysis.figures.early_stopping:FIGURE",
        "ours",
        "the scheduler's metric by epoch: what it stopped or let run, and PBT's exploits",
    ),
    Entry(
        "pareto_front",
        object,
        "analysis.figures.pareto_front:FIGURE",
        "Tab. 1",
        "natural against robust accuracy of each trial, and those that no other beats in both",
    ),
)
