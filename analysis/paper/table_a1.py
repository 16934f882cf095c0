"""Table A.1 of the paper: TRADES with explicit regularisers on true and random labels.

CIFAR-10, WRN-28-10. The table's ticks are lost in the text: which row has which regularisers is inferred from its
numbers.
"""

from analysis.paper.rows import RegulariserValue

REGULARISERS = (
    (False, 0.0, 0.0),
    (True, 0.0, 0.0),
    (False, 2e-4, 0.0),
    (False, 0.0, 0.2),
    (True, 2e-4, 0.0),
    (False, 2e-4, 0.2),
)
"""Augmentation, weight decay and dropout by row, for both kinds of labels [inferred]."""

# Training natural, robust; test natural, robust; gap natural, robust.
TRUE = (
    (99.73, 99.65, 77.53, 37.47, 22.20, 62.18),
    (99.57, 97.03, 82.91, 45.37, 16.93, 51.66),
    (99.59, 99.53, 77.31, 38.94, 22.28, 60.59),
    (99.65, 99.40, 79.96, 39.86, 19.69, 59.54),
    (99.50, 97.28, 84.26, 49.16, 15.24, 48.12),
    (99.41, 99.20, 80.28, 41.64, 19.13, 57.56),
)
RANDOM = (
    (99.80, 99.55, 9.79, 0.15, 90.01, 99.40),
    (99.36, 86.10, 9.71, 0.24, 89.65, 85.86),
    (99.84, 99.53, 10.13, 0.23, 89.71, 99.30),
    (99.15, 92.23, 9.04, 0.17, 90.11, 92.06),
    (99.25, 69.62, 9.67, 0.24, 89.58, 69.38),
    (99.38, 81.57, 9.54, 0.19, 89.84, 81.38),
)

TABLE_A1: tuple[RegulariserValue, ...] = tuple(
    value
    for rate, rows in ((0.0, TRUE), (1.0, RANDOM))
    for given, (train, robust_train, test, robust_test, gap, robust_gap) in zip(REGULARISERS, rows, strict=True)
    for value in (
        RegulariserValue("A.1", rate, *given, "natural", train, test, gap),
        RegulariserValue("A.1", rate, *given, "robust", robust_train, robust_test, robust_gap),
    )
)
