"""Activations that are computed again in the backward pass, to save memory."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType] # partly typed


def run_block(
    block: nn.Module, x: Float[Tensor, "b ..."], *given: Tensor | None, recompute: bool
) -> Float[Tensor, "b ..."]:
    """A block's output, computed again in the backward pass where `recompute` asks for it.

    The block must draw nothing: random states are not kept.
    """
    if recompute and torch.is_grad_enabled():
        return cast(
            Tensor, checkpoint(block, x, *given, use_reentrant=False, preserve_rng_state=False)
        )
    return cast(Tensor, block(x, *given))
