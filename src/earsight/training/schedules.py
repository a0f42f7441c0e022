"""Learning rates as functions of the step."""

import math
from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Linear warm-up to `rate`, then a half cosine down to `final_fraction` of it.

    `num_steps` counts the warm-up in; later steps keep the final rate.
    """

    rate: float
    num_steps: int
    warmup_steps: int = 0
    final_fraction: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a warm-up that never ends."""
        if not 0 <= self.warmup_steps < self.num_steps:
            raise ConfigError(
                f"warmup_steps ({self.warmup_steps}) must lie in 0..num_steps ({self.num_steps}) - 1"
            )
        if self.rate <= 0 or not 0 <= self.final_fraction <= 1:
            raise ConfigError(
                f"rate ({self.rate}) must be positive and final_fraction "
                f"({self.final_fraction}) in 0..1"
            )


def warmup_cosine(step: int, schedule: Schedule) -> float:
    """Rate of the update that follows `step` finished ones."""
    if step < schedule.warmup_steps:
        return schedule.rate * (step + 1) / schedule.warmup_steps
    span = schedule.num_steps - schedule.warmup_steps
    done = min(1.0, (step - schedule.warmup_steps) / span)
    fall = 0.5 * (1 + math.cos(math.pi * done))
    return schedule.rate * (schedule.final_fraction + (1 - schedule.final_fraction) * fall)
