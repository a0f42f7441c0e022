"""Plain means of weights over epochs.   Source: official repository YuanGongND/ast."""

from typing import Any

import torch
from torch import Tensor, nn


class EpochMean:
    """The mean of a network's state after some epochs; numbers that are no floats are the last."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Take the present weights into the mean."""
        self.count += 1
        for name, value in model.state_dict().items():
            if self.count == 1 or not value.is_floating_point():
                self._mean[name] = value.detach().clone()
            else:
                self._mean[name] += (value - self._mean[name]) / self.count

    def load_into(self, model: nn.Module) -> None:
        """Give the network the mean weights, if any were added."""
        if self.count:
            model.load_state_dict(self._mean)

    def state(self) -> dict[str, Any]:
        """Tensors and numbers to go on from."""
        return {"count": self.count, "mean": self._mean}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a saved state."""
        self.count, self._mean = state["count"], state["mean"]
