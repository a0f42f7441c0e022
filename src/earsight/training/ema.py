"""Running average of a model's weights."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class ExponentialAverage(Generic[Model]):
    """A copy of `model` that follows it by `decay` per update.

    Early on the decay is (1 + updates) / (10 + updates) where that is smaller, so that the random
    start is forgotten quickly. Buffers are copied.
    """

    def __init__(self, model: Model, *, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.model = deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Move towards `model`."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        for average, value in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(value, 1 - decay)
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)
        self.num_updates += 1

    def state_dict(self) -> dict[str, Tensor | int]:
        """Weights of the average and the number of updates."""
        return {"num_updates": self.num_updates, **self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Continue from `state_dict()`."""
        weights = dict(state)
        self.num_updates = int(weights.pop("num_updates"))
        self.model.load_state_dict(weights)
