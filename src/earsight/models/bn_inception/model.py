"""BN-Inception: features of single colour frames or flow pictures.

Every convolution has a bias and is followed by a norm and a rectifier; poolings round their size
up, and averages count the padding.

Axes: n frames, c channels, h, w picture, d features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.models.bn_inception.config import BlockConfig, BNInceptionConfig
from earsight.nn.frozen_norm import FrozenNorm


class Unit(nn.Module):
    """Convolution, norm, rectifier."""

    def __init__(
        self, channels_in: int, channels: int, size: int, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, size, stride, padding)
        self.norm = FrozenNorm(channels)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Non-negative activations."""
        return functional.relu(self.norm(self.conv(x)))


class InceptionBlock(nn.Module):
    """Branches side by side: 1x1, 3x3, two 3x3, pooling."""

    def __init__(self, config: BlockConfig, *, channels_in: int) -> None:
        super().__init__()
        stride = config.stride
        self.pointwise = nn.ModuleList()
        if config.pointwise is not None:
            self.pointwise.append(Unit(channels_in, config.pointwise, 1))
        reduced, wide = config.short
        self.short = nn.Sequential(
            Unit(channels_in, reduced, 1), Unit(reduced, wide, 3, stride=stride, padding=1)
        )
        reduced, inner, wide = config.long
        self.long = nn.Sequential(
            Unit(channels_in, reduced, 1),
            Unit(reduced, inner, 3, padding=1),
            Unit(inner, wide, 3, stride=stride, padding=1),
        )
        if config.pool == "average":
            self.pool = nn.AvgPool2d(3, 1, 1, ceil_mode=True, count_include_pad=True)
        else:
            self.pool = nn.MaxPool2d(3, stride, 2 - stride, ceil_mode=True)
        self.projection = nn.ModuleList()
        if config.projection is not None:
            self.projection.append(Unit(channels_in, config.projection, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Activations of the branches, joined along the channels."""
        branches = [pointwise(x) for pointwise in self.pointwise]
        branches += [self.short(x), self.long(x)]
        pooled = self.pool(x)
        for projection in self.projection:
            pooled = projection(pooled)
        return torch.cat([*branches, pooled], dim=1)


class BNInception(nn.Module):
    """1024 features per frame, after the global average pooling.

    Input is `frontends.bn_inception_frames.colour_input` or `flow_input`, 224 x 224.
    Source: Ioffe and Szegedy, Batch Normalization, 2015; official repository yjxiong/tsn-pytorch,
    whose partial-norm flag, consensus and dropout change nothing for single frames.
    """

    def __init__(self, config: BNInceptionConfig) -> None:
        super().__init__()
        self.config = config
        first, reduced, second = config.stem
        self.conv1 = Unit(config.input_channels, first, 7, stride=2, padding=3)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2_reduce = Unit(first, reduced, 1)
        self.conv2 = Unit(reduced, second, 3, padding=1)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.blocks = nn.ModuleDict()
        width = second
        for block in config.blocks:
            self.blocks[block.name] = InceptionBlock(block, channels_in=width)
            width = block.width(width)

    def forward(self, frames: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of frames whose mean colour or mean flow was taken off."""
        x = self.pool1(self.conv1(frames))
        x = self.pool2(self.conv2(self.conv2_reduce(x)))
        for block in self.blocks.values():
            x = block(x)
        return x.mean((2, 3))
