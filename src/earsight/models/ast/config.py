"""Sizes of AST."""

from dataclasses import dataclass

from earsight.errors import ConfigError
from earsight.nn.position_tables import Grid, patch_grid


@dataclass(frozen=True, kw_only=True, slots=True)
class AstConfig:
    """Sizes of AST; the defaults are those of the published AudioSet network.

    `num_frames` of 10 ms are what the position table covers; `patch` and `strides` are bands, then
    frames. Source: Gong et al., "AST: audio spectrogram transformer", 2021, sec. 2; official
    repository YuanGongND/ast.
    """

    num_mels: int = 128
    num_frames: int = 1024
    patch: tuple[int, int] = (16, 16)
    strides: tuple[int, int] = (10, 10)
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    hidden: int = 3072
    num_classes: int = 527

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        if min(self.width, self.num_heads, self.hidden, self.num_classes) < 1 or (
            self.num_layers < 0
        ):
            raise ConfigError("AST: every size must be at least 1")
        if self.width % self.num_heads:
            raise ConfigError(
                f"AST: width ({self.width}) must be a multiple of num_heads ({self.num_heads})"
            )
        patch_grid(size=(self.num_mels, self.num_frames), patch=self.patch, strides=self.strides)

    @property
    def grid(self) -> Grid:
        """Rows (bands) and columns (time) of patches."""
        size = (self.num_mels, self.num_frames)
        return patch_grid(size=size, patch=self.patch, strides=self.strides)


def base() -> AstConfig:
    """The published size (86.6 million values), which starts from an image network of 384 pixels.

    An image network of 224 pixels gives the same sizes.
    """
    return AstConfig()


def small() -> AstConfig:
    """The size of the small image network (384 wide)."""
    return AstConfig(width=384, num_heads=6, hidden=1536)


def tiny() -> AstConfig:
    """The size of the tiny image network (192 wide)."""
    return AstConfig(width=192, num_heads=3, hidden=768)


def speech_commands() -> AstConfig:
    """The published network of Speech Commands V2: one second, 35 words."""
    return AstConfig(num_frames=128, num_classes=35)
