"""Plain means of weights over epochs: over some in a row, or over the best ones.

Sources: official repositories YuanGongND/ast and RetroCirce/HTS-Audio-Transformer.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from earsight.training.rundir import RunDir


class EpochMean:
    """The mean of a network's state after some epochs; numbers that are no floats are the last."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: dict[str, Tensor] = {}

    def add(self, model: nn.Module) -> None:
        """Take the present weights of a network into the mean."""
        self.add_weights(model.state_dict())

    @torch.no_grad()
    def add_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights into the mean."""
        self.count += 1
        for name, value in weights.items():
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


class BestMean:
    """The mean of a network's states after the `count` checks with the highest scores.

    They lie in the run's folder: memory holds scores and steps alone. Of equal scores the earlier
    one stays; a score that is not a number is never among them.
    """

    def __init__(self, run: RunDir, *, count: int) -> None:
        self.run, self.count = run, count
        self.kept: list[tuple[float, int]] = []

    def offer(self, model: nn.Module, score: float, step: int) -> None:
        """Keep the present weights where their score is high enough."""
        if math.isnan(score):
            return
        ranked = sorted([*self.kept, (score, step)], key=lambda entry: (-entry[0], entry[1]))
        self.kept = ranked[: self.count]
        if (score, step) in self.kept:
            self.run.keep_weights(step, model.state_dict())

    def drop_others(self) -> None:
        """Remove the weights that are no longer among the best.

        To be called once the state is saved: a run that is resumed from the state before may still
        want them.
        """
        self.run.drop_weights(but=[step for _, step in self.kept])

    def load_into(self, model: nn.Module) -> None:
        """Give the network the mean weights, if any were kept."""
        mean = EpochMean()
        for step in sorted(step for _, step in self.kept):
            mean.add_weights(self.run.load_weights(step))
        mean.load_into(model)

    def state(self) -> list[tuple[float, int]]:
        """Scores and steps to go on from."""
        return list(self.kept)

    def restore(self, state: list[tuple[float, int]]) -> None:
        """Go back to a saved state."""
        self.kept = list(state)
