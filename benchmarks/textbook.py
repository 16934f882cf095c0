"""Adversarial training as public repositories write it: the yardstick, kept as plain as they are.

float32 in torch's default layout, a DataLoader with workers and per-image transforms, `autograd.grad` on the network
in eval mode, then the update in train mode.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

Loss = Callable[[Tensor], Tensor]


class Images(Dataset[tuple[Tensor, int]]):
    """Images one by one, from PIL through torchvision's transforms, as torchvision's own data sets give them."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], scale: float, augment: bool) -> None:
        # (n, height, width, channels) for colours, (n, height, width) for grey levels, 255 being white.
        self.images = np.squeeze((images.transpose(0, 2, 3, 1) * (255 / scale)).astype(np.uint8))
        self.labels = labels
        size = images.shape[-1]
        steps = [transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip()] if augment else []
        self.transform = transforms.Compose([*steps, transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def loader(data: Images, batch_size: int, shuffle: bool, workers: int = 2) -> DataLoader[tuple[Tensor, int]]:
    """As training scripts make it."""
    return DataLoader(data, batch_size, shuffle=shuffle, num_workers=workers, pin_memory=torch.cuda.is_available())


def attack(model: nn.Module, x: Tensor, loss: Loss, start: Tensor, eps: float, step: float, steps: int) -> Tensor:
    """PGD in the l-inf ball."""
    x_adv = start
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(model(x_adv)), x_adv)
        x_adv = x_adv.detach() + step * gradient.sign()
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps).clamp(0, 1)
    return x_adv.detach()


def uniform(x: Tensor, eps: float) -> Tensor:
    """A start in the ball."""
    return (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)


class Textbook:
    """One network, its optimiser, and the update of a method."""

    def __init__(self, model: nn.Module, method: str, lr: float, eps: float, step: float, steps: int, n: int) -> None:
        self.model, self.method = model, method
        self.eps, self.step, self.steps = eps, step, steps
        self.optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=5e-4)
        self.p = torch.zeros(n, 10, device=next(model.parameters()).device)

    def update(self, x: Tensor, y: Tensor, index: Tensor | None = None) -> None:
        """One step of training."""
        model = self.model
        model.eval()
        if self.method == "trades":
            natural = F.softmax(model(x), 1).detach()
            loss: Loss = lambda logits: F.kl_div(F.log_softmax(logits, 1), natural, reduction="sum")
            start = x + 0.001 * torch.randn_like(x)
        elif self.method == "pgd_at_te":
            assert index is not None
            with torch.no_grad():
                self.p[index] = 0.9 * self.p[index] + 0.1 * F.softmax(model(x), 1)
            target = self.p[index] / self.p[index].sum(1, keepdim=True)
            loss = lambda logits: self._ensembled(logits, y, target)
            start = uniform(x, self.eps)
        else:
            loss = lambda logits: F.cross_entropy(logits, y)
            start = uniform(x, self.eps)
        x_adv = attack(model, x, loss, start, self.eps, self.step, self.steps)
        model.train()
        self.optimizer.zero_grad()
        if self.method == "trades":
            clean = model(x)
            divergence = F.kl_div(F.log_softmax(model(x_adv), 1), F.softmax(clean, 1), reduction="batchmean")
            outer = F.cross_entropy(clean, y) + 6 * divergence
        else:
            outer = loss(model(x_adv))
        outer.backward()
        self.optimizer.step()

    def _ensembled(self, logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits, y) + 30 * ((F.softmax(logits, 1) - target) ** 2).mean()

    def epoch(self, train: DataLoader[tuple[Tensor, int]], test: DataLoader[tuple[Tensor, int]], steps: int) -> float:
        """An epoch of training, then natural and robust accuracy on the test set."""
        device = next(self.model.parameters()).device
        for x, y in train:
            self.update(x.to(device), y.to(device))
        self.model.eval()
        natural = robust = 0.0
        for x, y in test:
            x, y = x.to(device), y.to(device)
            loss: Loss = lambda logits, y=y: F.cross_entropy(logits, y)  # type: ignore[misc]
            x_adv = attack(self.model, x, loss, uniform(x, self.eps), self.eps, self.step, steps)
            with torch.no_grad():
                natural += (self.model(x).argmax(1) == y).float().sum().item()
                robust += (self.model(x_adv).argmax(1) == y).float().sum().item()
        return robust
