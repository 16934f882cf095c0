"""Table 2 of the paper and its footnote 2: other methods on CIFAR-10, ResNet-18, l-inf with eps 8/255."""

from analysis.paper.rows import PaperValue, Printed, results
from analysis.paper.table_1 import TE

# fmt: off
METHODS: dict[str, tuple[Printed, ...]] = {
    "pgd_at": (
        (83.75, 84.82, -1.07), (52.64, 44.92, 7.72), (51.22, 42.74, 8.48), (50.11, 43.63, 7.48), (47.74, 41.84, 5.90),
    ),
    "pgd_at_ls": (
        (82.68, 85.16, -2.48), (53.70, 48.90, 4.80), (52.56, 46.31, 6.25), (50.41, 46.06, 4.35), (49.02, 44.39, 4.63),
    ),
    "sat": (
        (82.81, 81.86, 0.95), (53.81, 53.31, 0.50), (52.41, 52.00, 0.41), (51.99, 51.71, 0.28), (50.21, 49.73, 0.48),
    ),
    "kd_swa": (
        (84.84, 85.26, -0.42), (54.89, 53.80, 1.09), (53.31, 52.45, 0.86), (51.48, 50.91, 0.57), (50.42, 49.83, 0.59),
    ),
    "pgd_at_te": (
        (82.35, 82.79, -0.44), (55.79, 54.83, 0.96), (54.65, 53.30, 1.35), (52.30, 51.73, 0.57), (50.59, 49.62, 0.97),
    ),
}
# fmt: on

FOOTNOTE_2: dict[str, tuple[Printed, ...]] = {
    "co_teaching": ((51.38, 50.78, None),),
    "pgd_at": ((52.64, 44.92, None),),
}
"""Under PGD-10; no difference is printed."""

TABLE_2: tuple[PaperValue, ...] = (
    *results("2", "cifar10", "resnet18", "linf", 8 / 255, METHODS, {**TE, "sat": (("form", "pgd_at"),)}),
    *results("footnote 2", "cifar10", "resnet18", "linf", 8 / 255, FOOTNOTE_2, {}, ("pgd-10",)),
)
