"""Learning curves as somebody else's CSV, and a sweep that is made of them."""

import numpy as np
import pandas as pd
import pytest

from tune_at.errors import UserError
from tune_at.exchange.asked import Asked
from tune_at.exchange.imported_sweep import import_curves

MAPPED = {"acc": "test_robust_accuracy", "nat": "test_natural_accuracy"}
SAID = {"epochs_from": 1, "fractions": ()}


def table(trials=4, epochs=3, seeds=2):
    """Trials a, b, … whose accuracy is their place and their epoch, in percent of percent."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                "trial": "abcdefgh"[t], "epoch": e, "acc": rng.integers(0, 100) / 100, "nat": 0.5, "grad": t + e / 10,
                "lr0": 0.1 * (t // seeds + 1), "seed": t % seeds,
            }
            for t in range(trials)
            for e in range(1, epochs + 1)
        ]
    )  # fmt: skip


@pytest.fixture
def imported(tmp_path):
    """A function: a frame → the sweep's folder."""

    def make(frame, mapped=MAPPED, name="s", **said):
        frame.to_csv(tmp_path / "c.csv", index=False)
        asked = Asked(mapped, **{**SAID, **said})
        return str(import_curves(str(tmp_path / "c.csv"), str(tmp_path / name), asked).sweep.folder)

    return make


def refused(imported, frame, mapped=MAPPED, **said):
    with pytest.raises(UserError) as error:
        imported(frame, mapped, **said)
    return str(error.value)
