"""Batch normalisation with stored statistics, for networks that are used and never trained.

Axes: b items, c channels, h, w picture.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-5


class FrozenNorm(nn.Module):
    """Scale and shift per channel after the stored mean and variance, the same in every mode.

    Entries are named as in `nn.BatchNorm2d`, without the count of training batches.
    """

    def __init__(self, channels: int, *, epsilon: float = NORM_EPSILON) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalised activations."""
        return functional.batch_norm(
            x,
            self.get_buffer("running_mean"),
            self.get_buffer("running_var"),
            self.get_buffer("weight"),
            self.get_buffer("bias"),
            eps=self.epsilon,
        )
