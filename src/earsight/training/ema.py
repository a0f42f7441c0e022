"""Running average of a model's weights."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class MovingAverage(Generic[Model]):
    """A copy of `model` that follows it by 1 - `decay` per update.

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
