"""How a network is run: threads, device, and the view of the network that attacks get."""

import os

import torch
from torch import nn

from tune_at.config.trial import ResourcesSection
from tune_at.errors import UserError


def prepare_device(resources: ResourcesSection) -> torch.device:
    """The device of a trial, with as many threads as it has cores.

    The number of threads decides in which order a sum is taken, and so the last bits of every result: it follows
    from the config, not from where the trial runs.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(resources.cpu)
    if resources.gpu == 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("resources.gpu", f"{resources.gpu}, but torch finds no GPU here", "set resources.gpu=0")
    return torch.device("cuda")


class Engine:
    """Runs one network. `attacked` is what attacks differentiate; here it is the network itself."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model.to(device)
        self.device = device

    @property
    def attacked(self) -> nn.Module:
        """The view of the network for attacks."""
        return self.model
