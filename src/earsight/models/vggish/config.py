"""Sizes of VGGish."""

from dataclasses import dataclass

from earsight.errors import ConfigError

LEVELS = ((64,), (128,), (256, 256), (512, 512))


@dataclass(frozen=True, kw_only=True, slots=True)
class VGGishConfig:
    """Sizes of VGGish; the defaults are the published ones.

    `levels` are the convolution widths before each 2x2 max pooling. Source: Hershey et al., "CNN
    architectures for large-scale audio classification", 2017; official repository
    tensorflow/models (audioset/vggish).
    """

    levels: tuple[tuple[int, ...], ...] = LEVELS
    num_frames: int = 96
    num_mels: int = 64
    hidden: int = 4096
    width: int = 128

    def __post_init__(self) -> None:
        """Refuse examples that the poolings do not divide."""
        if not self.levels or any(not level for level in self.levels):
            raise ConfigError(f"VGGish: every level needs a convolution, got {self.levels}")
        if min(*(n for level in self.levels for n in level), self.hidden, self.width) < 1:
            raise ConfigError("VGGish: levels, hidden and width must be >= 1")
        factor = 2 ** len(self.levels)
        if min(self.num_frames, self.num_mels) < factor:
            raise ConfigError(
                f"VGGish: examples of {self.num_frames} x {self.num_mels} vanish in "
                f"{len(self.levels)} poolings: at least {factor} x {factor}"
            )

    @property
    def num_pooled(self) -> int:
        """Values per example after the last pooling."""
        factor = 2 ** len(self.levels)
        return self.levels[-1][-1] * (self.num_frames // factor) * (self.num_mels // factor)


@dataclass(frozen=True, kw_only=True, slots=True)
class VGGishPcaConfig:
    """Size of the published rotation and rounding of VGGish vectors."""

    width: int = 128
