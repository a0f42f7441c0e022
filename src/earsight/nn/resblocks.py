"""Residual, attention and resampling blocks of the VQGAN family.

Axes: b items, c channels, h rows (frequency bands or pixels), w columns (frames or pixels).
Source: CompVis/taming-transformers and v-iashin/SpecVQGAN, diffusion-style convolution blocks.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

# The published weights were trained with this epsilon, not with PyTorch's 1e-5.
GROUP_NORM_EPS = 1e-6


def swish(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """x * sigmoid(x) of a tensor that nobody else holds: overwritten where no gradient is wanted.

    Fresh memory costs more time than the arithmetic at full size.
    """
    return F.silu(x, inplace=not torch.is_grad_enabled())


def channels_last(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """`x` with channels innermost in memory, for inference in reduced precision.

    Convolutions keep that layout; in bfloat16 on a CPU the full-size decoder runs 2.6 times as
    fast in it. Not for float32: PyTorch's group norm sums squares there, which put the decoder's
    output 30 times as far from the exact one.
    """
    reduced = torch.is_autocast_enabled(x.device.type) and not torch.is_grad_enabled()
    return x.contiguous(memory_format=torch.channels_last) if reduced else x


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """Affine group normalisation with the epsilon of the published weights."""
    return nn.GroupNorm(groups, channels, eps=GROUP_NORM_EPS)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after group norm and swish, added to the input."""

    def __init__(
        self, *, channels_in: int, channels_out: int, groups: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm_in = group_norm(channels_in, groups)
        self.conv_in = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm_out = group_norm(channels_out, groups)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut: nn.Module = (
            nn.Identity()
            if channels_in == channels_out
            else nn.Conv2d(channels_in, channels_out, 1)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """Same rows and columns; the shortcut is a 1x1 convolution when the width changes."""
        y = self.conv_in(swish(self.norm_in(x)))
        y = self.conv_out(self.dropout(swish(self.norm_out(y))))
        shortcut = self.shortcut(x)
        return shortcut + y if torch.is_grad_enabled() else y.add_(shortcut)


class SpatialAttention(nn.Module):
    """One attention head over all positions of a picture, added to the input."""

    def __init__(self, *, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.projection = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Positions are flattened row by row; weights are scaled by channels ** -0.5."""
        normed = self.norm(x)
        query, key, value = (
            rearrange(part(normed), "b c h w -> b 1 (h w) c")
            for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.projection(rearrange(mixed, "b 1 (h w) c -> b c h w", h=x.shape[2]))


class Downsample(nn.Module):
    """Halves both axes by a strided 3x3 convolution, padded at the bottom and right only."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Odd sizes lose their last row or column."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles both axes by repetition, followed by a 3x3 convolution."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Twice the rows and columns."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
