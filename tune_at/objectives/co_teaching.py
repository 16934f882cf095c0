"""Co-teaching (Han et al., 2018) for adversarial training, as a baseline (Sec. 4.2, footnote 2)."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from tune_at.attacks.pgd import PGD, pgd
from tune_at.config.objective import CoTeaching
from tune_at.objectives.base import Loss, Objective, Step, accuracy


class Pair(nn.Module):
    """Two networks of one architecture; as a network it is the first of them."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        """The first network's logits."""
        return self.first(x)


class CoTeachingObjective(Objective[CoTeaching]):
    """Each network learns from the ⌊(1 - t(e)) b⌋ samples with the smallest loss under the other.

    Each attacks itself, and its loss is the mean over the samples it was given. The two losses are added: they share no
    parameter, so one optimiser makes the steps that two would make.
    """

    def networks(self, make: Callable[[], nn.Module]) -> nn.Module:
        """Two networks with different initial weights."""
        return Pair(make(), make())

    def each(self, model: nn.Module, of: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """Of both networks."""
        assert isinstance(model, Pair)
        return Pair(of(model.first), of(model.second))

    def updated(self, model: nn.Module) -> nn.Module:
        """The first network."""
        assert isinstance(model, Pair)
        return model.first

    def loss(self, step: Step) -> Loss:
        """Sum of the two networks' means over the samples that the other chose."""
        pair, attacked = step.model, step.attacked
        assert isinstance(pair, Pair)
        assert isinstance(attacked, Pair)
        spec = PGD.of(self.attack)
        losses, logits = [], []
        for network, view in ((pair.first, attacked.first), (pair.second, attacked.second)):
            logits.append(network(pgd(view, step.x, step.y, spec, step.generator)))
            losses.append(F.cross_entropy(logits[-1], step.y, reduction="none"))
        kept = max(1, int((1 - self.config.forget_at(step.epoch, step.epochs)) * len(step.y)))
        chosen = [loss.detach().argsort(stable=True)[:kept] for loss in losses]
        loss = losses[0][chosen[1]].mean() + losses[1][chosen[0]].mean()
        scalars = {
            "kept": loss.new_tensor(kept / len(step.y)).detach(),
            "robust_accuracy": accuracy(logits[0], step.y),
        }
        return loss, scalars
