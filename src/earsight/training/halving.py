"""A learning rate that halves where the score of checks no longer gets better.

Source: official repository YuanGongND/ssast, by PyTorch's ReduceLROnPlateau.
"""

import math
from collections.abc import Mapping
from typing import Any

from earsight.errors import ConfigError

SMALLEST_GAIN = 1e-4  # relative, as PyTorch has it


class RateHalving:
    """Factor of a rate: half as large after more than `patience` checks in a row without a gain.

    A check counts as a gain where it beats the best one by a ten thousandth of it. None never
    halves.
    """

    def __init__(self, *, patience: int | None, higher_is_better: bool) -> None:
        if patience is not None and patience < 0:
            raise ConfigError(f"expected a patience of 0 or more checks, got {patience}")
        self.patience, self.higher_is_better = patience, higher_is_better
        self.factor = 1.0
        self._best = -math.inf if higher_is_better else math.inf
        self._num_worse = 0

    def update(self, score: float) -> None:
        """Take the score of a check into account; one that is not a number is no gain."""
        gain = SMALLEST_GAIN * abs(self._best) if math.isfinite(self._best) else 0.0
        sign = 1.0 if self.higher_is_better else -1.0
        if sign * score > sign * self._best + gain:
            self._best, self._num_worse = score, 0
            return
        self._num_worse += 1
        if self.patience is not None and self._num_worse > self.patience:
            self.factor, self._num_worse = self.factor / 2, 0

    def state(self) -> dict[str, Any]:
        """Plain values to go on from."""
        return {"factor": self.factor, "best": self._best, "num_worse": self._num_worse}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.factor, self._best = state["factor"], state["best"]
        self._num_worse = state["num_worse"]
