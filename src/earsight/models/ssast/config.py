"""Sizes of SSAST, in pre-training and as a tagger."""

from dataclasses import dataclass, replace
from typing import Literal

from earsight.errors import ConfigError
from earsight.nn.position_tables import Grid, patch_grid

Pooling = Literal["patches", "class_tokens"]
PATCH, FRAME = (16, 16), (128, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class SsastConfig:
    """Sizes of the pre-training network; the defaults are those of the published patch network.

    `num_frames` of 10 ms are what the position table covers; `patch` is bands, then frames, and
    patches lie side by side. Source: Gong et al., "SSAST: self-supervised audio spectrogram
    transformer", 2022, sec. 2; official repository YuanGongND/ssast.
    """

    num_mels: int = 128
    num_frames: int = 1024
    patch: tuple[int, int] = PATCH
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    hidden: int = 3072

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        _check(self.width, self.num_heads, self.hidden, self.num_layers)
        patch_grid(size=(self.num_mels, self.num_frames), patch=self.patch, strides=self.patch)

    @property
    def grid(self) -> Grid:
        """Rows (bands) and columns (time) of patches."""
        size = (self.num_mels, self.num_frames)
        return patch_grid(size=size, patch=self.patch, strides=self.patch)

    @property
    def num_patches(self) -> int:
        """Patches of a clip."""
        return self.grid[0] * self.grid[1]

    @property
    def patch_values(self) -> int:
        """Values of one patch."""
        return self.patch[0] * self.patch[1]

    @property
    def clustered(self) -> bool:
        """Whether masks are clusters of patches: always but for patches of all bands."""
        return self.patch[0] != self.num_mels


@dataclass(frozen=True, kw_only=True, slots=True)
class SsastTaggerConfig:
    """Sizes of the fine-tuned network; strides may be smaller than the patch.

    `pooling` says what the classifier sees: the mean over patches, or that of both class tokens.
    """

    num_mels: int = 128
    num_frames: int = 1024
    patch: tuple[int, int] = PATCH
    strides: tuple[int, int] = (10, 10)
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    hidden: int = 3072
    num_classes: int = 527
    pooling: Pooling = "patches"

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        _check(self.width, self.num_heads, self.hidden, self.num_layers)
        if self.num_classes < 1:
            raise ConfigError("SSAST: a tagger has at least one class")
        patch_grid(size=(self.num_mels, self.num_frames), patch=self.patch, strides=self.strides)

    @property
    def grid(self) -> Grid:
        """Rows (bands) and columns (time) of patches."""
        size = (self.num_mels, self.num_frames)
        return patch_grid(size=size, patch=self.patch, strides=self.strides)


def base() -> SsastConfig:
    """The published base network (89 million values)."""
    return SsastConfig()


def small() -> SsastConfig:
    """The published small network (23 million values)."""
    return SsastConfig(width=384, num_heads=6, hidden=1536)


def tiny() -> SsastConfig:
    """The published tiny network (6 million values)."""
    return SsastConfig(width=192, num_heads=3, hidden=768)


def of_frames(config: SsastConfig) -> SsastConfig:
    """The same size with patches of all bands and two frames, better for speech."""
    return replace(config, patch=FRAME)


def tagger(
    config: SsastConfig,
    *,
    num_classes: int,
    num_frames: int | None = None,
    strides: tuple[int, int] | None = None,
    pooling: Pooling = "patches",
) -> SsastTaggerConfig:
    """The tagger of a pre-trained network's size, with patches side by side unless told."""
    return SsastTaggerConfig(
        num_mels=config.num_mels,
        num_frames=num_frames or config.num_frames,
        patch=config.patch,
        strides=strides or config.patch,
        width=config.width,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        hidden=config.hidden,
        num_classes=num_classes,
        pooling=pooling,
    )


def _check(width: int, num_heads: int, hidden: int, num_layers: int) -> None:
    if min(width, num_heads, hidden) < 1 or num_layers < 0:
        raise ConfigError("SSAST: every size must be at least 1")
    if width % num_heads:
        raise ConfigError(f"SSAST: width ({width}) must be a multiple of num_heads ({num_heads})")
