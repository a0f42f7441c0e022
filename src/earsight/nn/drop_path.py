"""Stochastic depth: branches of a residual network left out per clip, drawn before the pass.

The draws come first and are handed to the blocks, so that a block that is computed again for its
gradient leaves out the same clips.   Axes: n branches, b clips.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError

Draws = torch.Generator | Sequence[torch.Generator]
"""What draws for a batch: one generator, or one of every clip, so that each draws by itself."""


def linear_rates(highest: float, num_blocks: int) -> tuple[float, ...]:
    """Rates that rise in equal steps from 0 at the first block to `highest` at the last.

    Source: Huang et al., "Deep networks with stochastic depth", 2016, sec. 3.
    """
    if not 0 <= highest < 1:
        raise ConfigError(f"the highest drop rate must lie in [0, 1), got {highest}")
    return tuple(highest * i / max(1, num_blocks - 1) for i in range(num_blocks))


def branch_scales(rates: Sequence[float], batch: int, *, rng: Draws) -> Float[Tensor, "n b"]:
    """Factor of every branch and clip: 0 at its rate, else 1 / (1 - rate)."""
    if isinstance(rng, torch.Generator):
        noise = torch.rand(len(rates), batch, generator=rng, device=rng.device)
    else:
        each = [torch.rand(len(rates), generator=own, device=own.device) for own in rng]
        noise = torch.stack(each, dim=1)
    keep = 1 - torch.tensor(rates, dtype=torch.float32, device=noise.device)[:, None]
    return torch.where(noise < keep, 1 / keep, torch.zeros_like(noise))
