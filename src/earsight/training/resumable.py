"""What every training saves to go on from: its step, network, optimiser, watch and average."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from earsight.training.ema import MovingAverage
from earsight.training.watch import EarlyStopping


def saved_state(
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    watch: EarlyStopping,
    average: MovingAverage[Any] | None = None,
) -> dict[str, Any]:
    """Tensors and numbers to go on from."""
    state: dict[str, Any] = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "watch": watch.state(),
    }
    if average is not None:
        state["average"] = average.model.state_dict()
        state["num_averaged"] = average.num_updates
    return state


def restored_step(
    state: dict[str, Any],
    model: nn.Module,
    optimizer: Optimizer,
    watch: EarlyStopping,
    average: MovingAverage[Any] | None = None,
) -> int:
    """Put a saved state back into its parts; returns the step it was saved at."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    watch.restore(state["watch"])
    if average is not None:
        average.model.load_state_dict(state["average"])
        average.num_updates = state["num_averaged"]
    return state["step"]
