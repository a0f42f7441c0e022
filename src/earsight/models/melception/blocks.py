"""Blocks of Melception: InceptionV3's, whose poolings and factored kernels are as in torchvision.

Average poolings count the padding. A block's name says on how many rows of bands it works when 80
bands go in. Widths are given in units of channels.

Axes: b clips, c channels, h band rows, w time columns.
Source: Szegedy et al., Rethinking the Inception Architecture, 2015, sec. 6.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 0.001
TALL, WIDE = (7, 1), (1, 7)
Map = Float[Tensor, "b c h w"]
Joined = Float[Tensor, "b c2 h2 w2"]


class Unit(nn.Module):
    """Convolution without bias, batch norm, rectifier."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, size, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=NORM_EPS)

    def forward(self, x: Map) -> Joined:
        """Non-negative activations."""
        return functional.relu(self.norm(self.conv(x)))


def chain(channels_in: int, *layers: tuple[int, int | tuple[int, int]]) -> nn.Sequential:
    """Units of (channels, kernel size) one after the other that keep the size."""
    units: list[nn.Module] = []
    for channels, size in layers:
        rows, columns = size if isinstance(size, tuple) else (size, size)
        padding = (rows // 2, columns // 2)
        units.append(Unit(channels_in, channels, (rows, columns), padding=padding))
        channels_in = channels
    return nn.Sequential(*units)


def blurred(x: Map) -> Map:
    """3 x 3 averages that count the padding."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1)


class Block35(nn.Module):
    """1x1, 5x5, two 3x3 and a pooling, side by side (Mixed_5b, 5c, 5d)."""

    def __init__(self, channels_in: int, *, unit: int, pooled: int) -> None:
        super().__init__()
        u = unit
        self.pointwise = Unit(channels_in, 4 * u, 1)
        self.five = chain(channels_in, (3 * u, 1), (4 * u, 5))
        self.twice = chain(channels_in, (4 * u, 1), (6 * u, 3), (6 * u, 3))
        self.pooled = Unit(channels_in, pooled * u, 1)
        self.channels = (14 + pooled) * u

    def forward(self, x: Map) -> Joined:
        """Branches joined along the channels."""
        branches = [self.pointwise(x), self.five(x), self.twice(x), self.pooled(blurred(x))]
        return torch.cat(branches, dim=1)


class Reduction35(nn.Module):
    """Halves bands and time: 35 rows to 17 (Mixed_6a)."""

    def __init__(self, channels_in: int, *, unit: int) -> None:
        super().__init__()
        self.three = Unit(channels_in, 24 * unit, 3, stride=2)
        self.twice = chain(channels_in, (4 * unit, 1), (6 * unit, 3))
        self.twice.append(Unit(6 * unit, 6 * unit, 3, stride=2))
        self.channels = channels_in + 30 * unit

    def forward(self, x: Map) -> Joined:
        """Branches joined along the channels."""
        return torch.cat([self.three(x), self.twice(x), functional.max_pool2d(x, 3, 2)], dim=1)


class Block17(nn.Module):
    """1x1, 7x7 and two 7x7 as tall and wide kernels, and a pooling (Mixed_6b to 6e)."""

    def __init__(self, channels_in: int, *, unit: int, inner: int) -> None:
        super().__init__()
        wide, narrow = 12 * unit, inner * unit
        self.pointwise = Unit(channels_in, wide, 1)
        self.seven = chain(channels_in, (narrow, 1), (narrow, WIDE), (wide, TALL))
        self.twice = chain(
            channels_in, (narrow, 1), (narrow, TALL), (narrow, WIDE), (narrow, TALL), (wide, WIDE)
        )
        self.pooled = Unit(channels_in, wide, 1)
        self.channels = 48 * unit

    def forward(self, x: Map) -> Joined:
        """Branches joined along the channels."""
        branches = [self.pointwise(x), self.seven(x), self.twice(x), self.pooled(blurred(x))]
        return torch.cat(branches, dim=1)


class Reduction17(nn.Module):
    """Halves bands and time: 17 rows to 8 (Mixed_7a)."""

    def __init__(self, channels_in: int, *, unit: int) -> None:
        super().__init__()
        wide = 12 * unit
        self.three = nn.Sequential(Unit(channels_in, wide, 1), Unit(wide, 20 * unit, 3, stride=2))
        self.seven = chain(channels_in, (wide, 1), (wide, WIDE), (wide, TALL))
        self.seven.append(Unit(wide, wide, 3, stride=2))
        self.channels = channels_in + 32 * unit

    def forward(self, x: Map) -> Joined:
        """Branches joined along the channels."""
        return torch.cat([self.three(x), self.seven(x), functional.max_pool2d(x, 3, 2)], dim=1)


class Block8(nn.Module):
    """1x1, two branches that end in a wide and a tall kernel each, and a pooling (Mixed_7b, 7c)."""

    def __init__(self, channels_in: int, *, unit: int) -> None:
        super().__init__()
        width = 24 * unit
        self.pointwise = Unit(channels_in, 20 * unit, 1)
        self.three = Unit(channels_in, width, 1)
        self.three_ends = _ends(width)
        self.twice = chain(channels_in, (28 * unit, 1), (width, 3))
        self.twice_ends = _ends(width)
        self.pooled = Unit(channels_in, 12 * unit, 1)
        self.channels = 128 * unit

    def forward(self, x: Map) -> Joined:
        """Branches joined along the channels."""
        three, twice = self.three(x), self.twice(x)
        branches = [self.pointwise(x)]
        branches += [end(three) for end in self.three_ends]
        branches += [end(twice) for end in self.twice_ends]
        return torch.cat([*branches, self.pooled(blurred(x))], dim=1)


class AuxiliaryHead(nn.Module):
    """Classifier on the middle of the network; needs 17 rows and columns there."""

    def __init__(self, channels_in: int, *, unit: int, num_classes: int) -> None:
        super().__init__()
        self.reduce = Unit(channels_in, 8 * unit, 1)
        self.wide = Unit(8 * unit, 48 * unit, 5)
        self.head = nn.Linear(48 * unit, num_classes)

    def forward(self, x: Map) -> Float[Tensor, "b n"]:
        """Class scores before any softmax."""
        x = self.wide(self.reduce(functional.avg_pool2d(x, 5, stride=3)))
        return self.head(x.mean((2, 3)))


def _ends(width: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            Unit(width, width, (1, 3), padding=(0, 1)),
            Unit(width, width, (3, 1), padding=(1, 0)),
        ]
    )
