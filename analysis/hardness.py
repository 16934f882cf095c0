"""Whether the same training examples are hard for two trials: Kendall's tau of their adversarial losses (Fig. 6c, C.2).

From rows that the probe `adversarial_losses` has written to the table `samples`.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from tune_at.errors import UserError
from tune_at.wording import program, shell

if TYPE_CHECKING:
    import pandas as pd

PROBE = "adversarial_losses"

BEST, FINAL = "best", "final"


def adversarial_losses(samples: "pd.DataFrame", checkpoint: str = FINAL, attack: str = "pgd-10") -> "pd.DataFrame":
    """One row a (trial, example): the loss of each training example under attack, of one network a trial.

    Args:
        samples: the table.
        checkpoint: `final`, what was measured after a trial's last measured epoch, while it trained or later; `best`.
        attack: as in the table; the paper's by default. Losses under different attacks are never compared.

    Returns:
        Columns trial, epoch, example, label (the true one), trained_label, robust_loss.
    """
    rows = samples[(samples["origin"] == PROBE) & (samples["split"] == "train")]
    # Of an untrained network, which a user may have measured too, they are nobody's final losses.
    rows = rows[
        rows["checkpoint"] == BEST if checkpoint == BEST else (rows["checkpoint"] != BEST) & (rows["epoch"] > 0)
    ]
    if not rows.empty and attack not in set(rows["attack"]):
        there = ", ".join(sorted(set(rows["attack"])))
        raise UserError("hard examples", f"no losses under {attack} are recorded", f"there are some under {there}")
    rows = rows[rows["attack"] == attack]
    if rows.empty:
        problem = f"no trial's adversarial losses are recorded of its {checkpoint} network"
        command = shell(*program(), "probe", "DIR/N", "--probe", PROBE, "--checkpoint", checkpoint)
        raise UserError("hard examples", problem, f"measure them: {command}")
    last = rows[rows["epoch"] == rows.groupby("trial")["epoch"].transform("max")]
    # A trial's last network may be measured while it trains and again from its checkpoint: it is the same network.
    once = last.sort_values("checkpoint", kind="stable").drop_duplicates(["trial", "example"], keep="last")
    columns = ["trial", "epoch", "example", "label", "trained_label", "robust_loss"]
    return once.sort_values(["trial", "example"])[columns].reset_index(drop=True)


def prepare_rank_correlations(losses: "pd.DataFrame", trials: Sequence[str] = ()) -> "pd.DataFrame":
    """Kendall's tau-b between the losses of each pair of trials, over all samples that both trained on as the same.

    Args:
        losses: of `adversarial_losses`.
        trials: in this order, the first of each pair before the second; by default all, by name.

    Returns:
        A row a pair: first, second (trials), tau, samples. Samples whose trained labels differ between the two are
        left out, since their losses are of different labels: with noise, labels are drawn by seed. tau is NaN where a
        loss is, or where all losses of one trial are equal.

    Raises:
        UserError: fewer than two trials, one without losses, or two that were measured on different images.
    """
    import pandas as pd
    from scipy.stats import kendalltau

    chosen = list(trials) or sorted(losses["trial"].unique())
    if len(chosen) < 2:
        raise UserError("hard examples", f"{len(chosen)} trial with losses", "a comparison needs two")
    rows = []
    for first, second in combinations(chosen, 2):
        pair = paired_losses(losses, first, second)
        tau = kendalltau(pair["first"], pair["second"]).statistic if len(pair) > 1 else float("nan")
        rows.append({"first": first, "second": second, "tau": float(tau), "samples": len(pair)})
    return pd.DataFrame(rows)


def paired_losses(losses: "pd.DataFrame", first: str, second: str) -> "pd.DataFrame":
    """Columns example, first, second: the losses of two trials on each sample, sorted by the first's.

    Raises as `prepare_rank_correlations`.
    """
    one, other = (losses[losses["trial"] == trial].set_index("example") for trial in (first, second))
    for trial, part in ((first, one), (second, other)):
        if part.empty:
            raise UserError(f"trial {trial}", "has no adversarial losses", f"measure them with the probe {PROBE}")
    if not one["label"].sort_index().equals(other["label"].sort_index()):
        remedy = "compare trials of one data set, subset and split, measured on as many samples"
        raise UserError(f"trials {first} and {second}", "were measured on different images", remedy)
    both = one.join(other, rsuffix="_second")
    both = both[both["trained_label"] == both["trained_label_second"]]
    named = both.rename(columns={"robust_loss": "first", "robust_loss_second": "second"})[["first", "second"]]
    return named.sort_values("first", kind="stable").reset_index()


def shown(pair: "pd.DataFrame", count: int = 500) -> "pd.DataFrame":
    """`count` rows of `paired_losses`, evenly spread over its order: what Fig. 6c draws."""
    import numpy as np

    if len(pair) <= count:
        return pair
    return pair.iloc[np.linspace(0, len(pair) - 1, count).round().astype(int)].reset_index(drop=True)
