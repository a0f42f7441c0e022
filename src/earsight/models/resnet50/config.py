"""Sizes of the frame feature network."""

from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet50Config:
    """Blocks per stage and widths; the defaults are ResNet-50.

    Stage i has bottlenecks of `channels` * 2^i and puts out `expansion` times that.
    Source: He et al., Deep Residual Learning, 2015, table 1.
    """

    blocks_per_stage: tuple[int, ...] = (3, 4, 6, 3)
    channels: int = 64
    expansion: int = 4

    def __post_init__(self) -> None:
        """Refuse empty stages."""
        sizes = (*self.blocks_per_stage, self.channels, self.expansion)
        if not self.blocks_per_stage or min(sizes) < 1:
            raise ConfigError(f"every stage needs a block and a channel, got {sizes}")

    @property
    def feature_width(self) -> int:
        """Channels of the last stage; 2048."""
        return self.channels * 2 ** (len(self.blocks_per_stage) - 1) * self.expansion
