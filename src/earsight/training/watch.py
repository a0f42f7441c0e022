"""What watches over a run: numbers that are no longer finite, scores that no longer get better."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from earsight.errors import ConfigError, TrainingError


class EarlyStopping:
    """Counts checks without a better score; `reason` says in words why a run should end.

    A score is better when it beats the best one by more than `smallest_change`. `patience` checks
    in a row without a better one end the run; None never does.
    """

    def __init__(
        self,
        *,
        patience: int | None,
        smallest_change: float = 0.0,
        lower_is_better: bool = True,
        name: str = "score",
    ) -> None:
        if (patience is not None and patience < 1) or smallest_change < 0:
            raise ConfigError(
                f"early stopping: patience ({patience}) must be at least 1 and smallest_change "
                f"({smallest_change}) not negative"
            )
        self.patience, self.smallest_change = patience, smallest_change
        self.lower_is_better, self.name = lower_is_better, name
        self.best: float | None = None
        self.best_step = 0
        self.num_worse = 0

    def update(self, value: float, step: int) -> bool:
        """Take the score of a check into account; returns whether it is better than all before.

        A score that is not a number is never better.
        """
        if self._is_better(value):
            self.best, self.best_step, self.num_worse = value, step, 0
            return True
        self.num_worse += 1
        return False

    @property
    def reason(self) -> str | None:
        """Why the run should end now, None while it should go on."""
        if self.patience is None or self.num_worse < self.patience:
            return None
        if self.best is None:
            return f"{self.name} was not a number in {self.num_worse} checks in a row"
        return (
            f"{self.name} did not get better by more than {self.smallest_change:g} in "
            f"{self.num_worse} checks in a row; the best was {self.best:.6g} at step "
            f"{self.best_step}"
        )

    def state(self) -> dict[str, Any]:
        """Plain values to go on from."""
        return {"best": self.best, "best_step": self.best_step, "num_worse": self.num_worse}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.best, self.best_step = state["best"], state["best_step"]
        self.num_worse = state["num_worse"]

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        gain = self.best - value if self.lower_is_better else value - self.best
        return gain > self.smallest_change


def check_finite(
    losses: Mapping[str, float | Tensor], step: int, *, checkpoint: Path | None = None
) -> None:
    """Raise TrainingError that names every loss that is not finite, and what to do about it.

    `checkpoint` is the newest saved state, named in the message. The numbers are read from the
    device in one go.
    """
    names = list(losses)
    values = torch.stack([torch.as_tensor(losses[n]).detach().float().cpu() for n in names])
    if bool(values.isfinite().all()):
        return
    numbers = [float(value) for value in values]
    found = zip(names, numbers, strict=True)
    bad = ", ".join(f"{name} is {value}" for name, value in found if not math.isfinite(value))
    kept = f"but {checkpoint} is intact" if checkpoint else "and nothing was saved before"
    raise TrainingError(
        f"step {step}: {bad}, so training cannot go on, {kept}; start a run with a lower "
        "learning rate, gradient clipping, fp32, or without the term that broke"
    )
