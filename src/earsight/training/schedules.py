"""Learning rates as functions of the step."""

import math

from earsight.errors import ConfigError


def warmup_cosine(
    step: int, *, peak: float, final: float, warmup_steps: int, num_steps: int
) -> float:
    """Rate of the update that follows `step` finished ones.

    Rises linearly to `peak` over `warmup_steps`, falls along half a cosine to `final * peak` at
    `num_steps` (which counts the warm-up in) and stays there. Raises ConfigError for a warm-up
    that never ends.
    """
    if not 0 <= warmup_steps < num_steps:
        raise ConfigError(
            f"warmup_steps ({warmup_steps}) must lie in 0..num_steps - 1 ({num_steps - 1})"
        )
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / (num_steps - warmup_steps))
    fall = 0.5 * (1 + math.cos(math.pi * done))
    return peak * (final + (1 - final) * fall)
