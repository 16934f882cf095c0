"""Table C.1 of the paper: other networks, and l2, on CIFAR-10; natural accuracy and PGD-10."""

from analysis.paper.rows import ATTACKS, PaperValue, Printed, results
from analysis.paper.table_1 import TE

WRN_34_10: dict[str, tuple[Printed, ...]] = {
    "pgd_at": ((86.58, 86.83, -0.25), (55.83, 49.52, 6.31)),
    "pgd_at_te": ((85.43, 85.10, 0.33), (59.30, 56.63, 2.67)),
}

VGG_16: dict[str, tuple[Printed, ...]] = {
    "pgd_at": ((79.60, 81.26, -1.66), (48.52, 43.02, 5.50)),
    "pgd_at_te": ((78.19, 79.13, -0.94), (52.06, 51.29, 0.77)),
}

RESNET_18_L2: dict[str, tuple[Printed, ...]] = {
    "pgd_at": ((88.82, 88.96, -0.14), (69.05, 65.96, 3.09)),
    "pgd_at_te": ((87.95, 88.20, -0.25), (72.58, 71.93, 0.65)),
    "trades": ((86.50, 86.57, -0.07), (70.22, 66.07, 4.15)),
    "trades_te": ((88.42, 88.60, -0.18), (72.72, 72.43, 0.29)),
}

TABLE_C1: tuple[PaperValue, ...] = (
    *results("C.1", "cifar10", "wrn-34-10", "linf", 8 / 255, WRN_34_10, TE, ATTACKS[:2]),
    *results("C.1", "cifar10", "vgg16", "linf", 8 / 255, VGG_16, TE, ATTACKS[:2]),
    *results("C.1", "cifar10", "resnet18", "l2", 128 / 255, RESNET_18_L2, TE, ATTACKS[:2]),
)
