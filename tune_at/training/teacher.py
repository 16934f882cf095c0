"""The network of another trial, as a teacher."""

from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

import torch
from torch import nn

from tune_at.errors import UserError
from tune_at.store.place import Where
from tune_at.training.checkpoint import DamagedCheckpoint, load_state


def load_teacher(
    network: nn.Module,
    role: str,
    path: Where,
    device: torch.device,
    require_data: Callable[[Mapping[str, Any], str], None],
) -> None:
    """Put the weights of a trial's checkpoint into a network of this trial's architecture.

    Args:
        network: is changed.
        role: of the teacher, `standard` or `robust`.
        path: the checkpoint.
        device: where the weights go.
        require_data: (state, when) raises `UserError` unless the state is of this trial's images.

    Raises:
        UserError: the file is absent, damaged, not a trial's checkpoint, or of other data or another architecture.
    """
    where, remedy = f"the {role} teacher", "finish the stage of the teachers first"
    try:
        state = load_state(path, device)
    except (OSError, DamagedCheckpoint) as error:
        raise UserError(where, str(error), remedy) from None
    weights = state.get("model") if isinstance(state, dict) else None
    if not isinstance(weights, dict):
        raise UserError(where, f"{path} is not a trial's checkpoint: it has no entry 'model'", remedy)
    require_data(state, f"when the {role} teacher was trained")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        # A heading, then a line for each kind of difference, of which one may name every layer.
        difference = shorten(" ".join(str(error).splitlines()[1:2]), 160, placeholder=" …")
        problem = f"{path} is of another architecture: {difference}"
        raise UserError(where, problem, "train the teachers with this trial's model") from None
