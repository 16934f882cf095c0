"""Natural and robust accuracy, with the outcome of every example."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.attacks.losses import is_right
from tune_at.attacks.pgd import PGD, pgd
from tune_at.data.batches import Batch
from tune_at.engine.modes import evaluating


@dataclass(frozen=True)
class Outcomes:
    """Per-example results, each of shape (n,): whether the prediction is right, and the cross-entropy.

    Where logits are NaN the prediction is wrong, and the cross-entropy NaN.
    """

    natural_correct: Tensor
    natural_loss: Tensor
    robust_correct: Tensor
    robust_loss: Tensor

    def means(self) -> dict[str, float]:
        """{natural,robust}_{accuracy,loss} over all examples. The one place where the device is waited for."""
        stacked = torch.stack(
            [
                self.natural_correct.double().mean(),
                self.natural_loss.double().mean(),
                self.robust_correct.double().mean(),
                self.robust_loss.double().mean(),
            ]
        ).tolist()
        names = ("natural_accuracy", "natural_loss", "robust_accuracy", "robust_loss")
        return dict(zip(names, stacked, strict=True))


def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    spec: PGD,
    generator: torch.Generator,
    attacked: nn.Module | None = None,
) -> Outcomes:
    """Outcome of each example, clean and at what PGD has found. The model's modes are left as they were.

    Args:
        model: judges; logits from images.
        batches: what to evaluate.
        spec: the attack.
        generator: on the device of the images, for the random starts.
        attacked: the view of the model that the attack gets; by default the model itself.
    """
    columns: list[list[Tensor]] = [[], [], [], []]
    with evaluating(model):
        for batch in batches:
            x_adv = pgd(attacked or model, batch.x, batch.y, spec, generator)
            with torch.no_grad():
                for place, logits in ((0, model(batch.x)), (2, model(x_adv))):
                    columns[place].append(is_right(logits, batch.y))
                    columns[place + 1].append(F.cross_entropy(logits, batch.y, reduction="none"))
    return Outcomes(*(torch.cat(column) for column in columns))
