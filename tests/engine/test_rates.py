"""The highest rate of several forms: by a clock of the test's own, and operations as torch counts them."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tune_at.engine import rates
from tune_at.engine.rates import BRIEF, Convolution, Product, best_rates

CPU = torch.device("cpu")


@pytest.mark.parametrize("form", [Product(24), Convolution(2, 8, 5), *BRIEF], ids=str)
def test_operations_are_those_that_torch_counts(form):
    run = form.prepare(CPU, torch.float32)
    with FlopCounterMode(display=False) as counter:
        run()
    assert counter.get_total_flops() == form.operations


def test_the_best_of_all_forms_and_tries_is_taken(monkeypatch):
    """Seconds: the first run of each form, which is not counted, then three tries, for two precisions in turn."""
    seconds = iter([
        9, 9,  4, 8,  2, 8,  4, 4,
        1e-6, 1e-6, 99, 1, 99, 2, 99, 3,
    ])  # fmt: skip
    asked = []

    def took(run, precision, device):
        asked.append(precision)
        return next(seconds)

    monkeypatch.setattr(rates, "_seconds", took)
    first, second = Product(8), Product(16)
    found = best_rates((first, second), ("fp32", "bf16"), CPU, tries=3)
    assert found == {"fp32": (2 * 8**3 / 2, first), "bf16": (2 * 16**3 / 1, second)}
    assert asked == ["fp32", "bf16"] * 8


def test_products_are_left_as_they_were():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    found = best_rates((Product(8),), ("fp32", "tf32", "bf16"), CPU, tries=1)
    assert all(rate > 0 for rate, _ in found.values())
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
