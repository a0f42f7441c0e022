"""Sizes of BN-Inception, block by block."""

from dataclasses import dataclass
from typing import Literal

from earsight.errors import ConfigError

Pool = Literal["average", "max"]
Row = tuple[str, int | None, tuple[int, int], tuple[int, int, int], Pool, int | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockConfig:
    """Widths of one inception block, whose branches are joined in this order.

    `pointwise` is the 1x1 branch, None for a block that halves the picture; `short` is (reduction,
    3x3); `long` is (reduction, 3x3, 3x3); `projection` is the 1x1 after the pooling, None where
    the pooling's output is joined as it is.
    """

    name: str
    pointwise: int | None
    short: tuple[int, int]
    long: tuple[int, int, int]
    pool: Pool
    projection: int | None

    def __post_init__(self) -> None:
        """Refuse a block that halves only some of its branches."""
        if (self.pointwise is None) != (self.projection is None):
            raise ConfigError(
                f"block {self.name}: a 1x1 branch and a pool projection exist both or not at all"
            )

    @property
    def stride(self) -> int:
        """2 for a block without a 1x1 branch."""
        return 2 if self.pointwise is None else 1

    def width(self, width_in: int) -> int:
        """Channels that the block puts out."""
        return (self.pointwise or 0) + self.short[1] + self.long[2] + (self.projection or width_in)


def published_blocks() -> tuple[BlockConfig, ...]:
    """The ten blocks of the published network. Source: official repository yjxiong/tsn-pytorch."""
    rows: tuple[Row, ...] = (
        ("3a", 64, (64, 64), (64, 96, 96), "average", 32),
        ("3b", 64, (64, 96), (64, 96, 96), "average", 64),
        ("3c", None, (128, 160), (64, 96, 96), "max", None),
        ("4a", 224, (64, 96), (96, 128, 128), "average", 128),
        ("4b", 192, (96, 128), (96, 128, 128), "average", 128),
        ("4c", 160, (128, 160), (128, 160, 160), "average", 128),
        ("4d", 96, (128, 192), (160, 192, 192), "average", 128),
        ("4e", None, (128, 192), (192, 256, 256), "max", None),
        ("5a", 352, (192, 320), (160, 224, 224), "average", 128),
        ("5b", 352, (192, 320), (192, 224, 224), "max", 128),
    )
    return tuple(
        BlockConfig(
            name=name, pointwise=pointwise, short=short, long=long, pool=pool, projection=projection
        )
        for name, pointwise, short, long, pool, projection in rows
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BNInceptionConfig:
    """What the network looks at, and its widths; the defaults are the published network.

    Flow has 2 input channels (right, down), colour 3 (blue, green, red).
    """

    modality: Literal["rgb", "flow"] = "rgb"
    stem: tuple[int, int, int] = (64, 64, 192)
    blocks: tuple[BlockConfig, ...] = published_blocks()

    def __post_init__(self) -> None:
        """Refuse a network without blocks."""
        if not self.blocks or min(self.stem) < 1:
            raise ConfigError("BN-Inception needs at least one block and a channel everywhere")

    @property
    def input_channels(self) -> int:
        """Channels of one frame."""
        return 3 if self.modality == "rgb" else 2

    @property
    def feature_width(self) -> int:
        """Channels of the last block; 1024."""
        width = self.stem[2]
        for block in self.blocks:
            width = block.width(width)
        return width
