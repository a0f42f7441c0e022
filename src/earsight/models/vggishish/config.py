"""Sizes of the spectrogram classifier."""

from dataclasses import dataclass

from earsight.errors import ConfigError

VGG16_LEVELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@dataclass(frozen=True, kw_only=True, slots=True)
class VGGishishConfig:
    """Sizes of the spectrogram classifier; the defaults are the published ones.

    `levels` are the convolution widths between 2x2 max poolings; `pooled_shape` is the grid that
    any input is averaged to. Source: SpecVQGAN, sec. 3.4 and supplement.
    """

    levels: tuple[tuple[int, ...], ...] = VGG16_LEVELS
    pooled_shape: tuple[int, int] = (5, 10)
    hidden: int = 4096
    num_classes: int = 309

    def __post_init__(self) -> None:
        if not self.levels or any(not level for level in self.levels):
            raise ConfigError(f"VGGish-ish: every level needs a convolution, got {self.levels}")
        widths = [width for level in self.levels for width in level]
        if min(*widths, *self.pooled_shape, self.hidden, self.num_classes) < 1:
            raise ConfigError("VGGish-ish: widths, pooled_shape, hidden, num_classes must be >= 1")

    @property
    def num_pooled(self) -> int:
        """Values per clip after pooling."""
        rows, columns = self.pooled_shape
        return self.levels[-1][-1] * rows * columns
