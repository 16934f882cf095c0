"""Optimisers from their config sections."""

from collections.abc import Iterable

import torch
from torch import nn

from tune_at.config.optim import OPTIMIZERS, SGD, Adam, OptimSection


def build_sgd(config: SGD, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD with momentum; weight decay on every parameter, as in the paper's public code."""
    return torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def build_adam(config: Adam, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam with an L2 penalty in the gradient."""
    return torch.optim.Adam(parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay)


def build_optimizer(config: OptimSection, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that a config names, at its base learning rate."""
    optimizer: torch.optim.Optimizer = OPTIMIZERS[config.name].load()(config, parameters)
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
