"""Sizes of Audio-MAE: encoder, decoders, the network for tagging.

Source: Huang et al., "Masked autoencoders that listen", 2022, sec. 3 and 4; official repository
facebookresearch/AudioMAE.
"""

from dataclasses import dataclass, field
from typing import Literal

from earsight.errors import ConfigError

DecoderBlock = Literal["global", "window", "shifted_window"]
Grid = tuple[int, int]
"""Tokens over time, then over mel bands."""

# the published code moves windows along time only; the paper says half a window along both axes
WINDOW_SHIFT: Grid = (2, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Sizes of the transformer over patches; the defaults are the published ViT-B.

    `num_frames` is what the stored position table covers; other lengths work as well. `stride`
    below `patch` makes patches overlap (10 in the paper). `tokens_per_row` is how many tokens
    share the first half of a position code, see `row_of_positions`; None is as published.
    """

    num_frames: int = 1024
    num_mels: int = 128
    patch: int = 16
    stride: int = 16
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    hidden: int = 3072
    tokens_per_row: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        sizes = (self.patch, self.stride, self.num_heads, self.hidden)
        if min(*sizes, 1 if self.tokens_per_row is None else self.tokens_per_row) < 1:
            raise ConfigError("Audio-MAE: every size must be at least 1")
        if self.num_layers < 0 or self.stride > self.patch:
            raise ConfigError(
                f"Audio-MAE: stride ({self.stride}) must not pass patch ({self.patch}), and "
                f"num_layers ({self.num_layers}) not lie below 0"
            )
        if min(self.num_frames, self.num_mels) < self.patch:
            raise ConfigError(
                f"Audio-MAE: {self.num_frames} frames of {self.num_mels} bands hold no patch of "
                f"{self.patch}"
            )
        _check_width("encoder", self.width, self.num_heads)

    @property
    def grid(self) -> Grid:
        """Tokens over time and bands that the stored position table covers."""
        return self.grid_of(self.num_frames)

    @property
    def patch_values(self) -> int:
        """Values of one patch."""
        return self.patch * self.patch

    @property
    def row_of_positions(self) -> int:
        """Tokens per row of the position code.

        Tokens are counted along time first, so rows of as many tokens as there are bands would
        make the code a plain one. The published code takes as many as there are *columns* unless
        patches overlap, and its weights were trained that way: 64 at 1024 frames.
        """
        if self.tokens_per_row is not None:
            return self.tokens_per_row
        return self.grid[1] if self.stride < self.patch else self.grid[0]

    def grid_of(self, num_frames: int) -> Grid:
        """Tokens over time and bands of a spectrogram; what fills no patch is left out."""
        return (
            (num_frames - self.patch) // self.stride + 1,
            (self.num_mels - self.patch) // self.stride + 1,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """Sizes of the decoder; the defaults are the published one of shifted windows.

    `window` counts tokens over time and bands. `keeps_class_token` needs global blocks only.
    """

    blocks: tuple[DecoderBlock, ...] = ("window", "shifted_window") * 8
    width: int = 512
    num_heads: int = 16
    window_heads: int = 16
    window: Grid = (4, 4)
    shift: Grid = WINDOW_SHIFT
    distance_hidden: int = 384
    hidden: int = 2048
    keeps_class_token: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        if min(*self.window, self.hidden, self.distance_hidden) < 1:
            raise ConfigError("Audio-MAE decoder: every size must be at least 1")
        if any(not 0 <= s < n for s, n in zip(self.shift, self.window, strict=True)):
            raise ConfigError(
                f"Audio-MAE decoder: shift {self.shift} must be smaller than window {self.window}"
            )
        if self.keeps_class_token and set(self.blocks) - {"global"}:
            raise ConfigError(
                "Audio-MAE decoder: a class token lies in no window, so it needs global blocks only"
            )
        _check_width("decoder", self.width, self.num_heads)
        _check_width("decoder window", self.width, self.window_heads)


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskedAutoencoderConfig:
    """Sizes of the network that is pre-trained."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioTaggerConfig:
    """Sizes of the fine-tuned network; the defaults are the published one for AudioSet.

    `drop_path` is the rate of stochastic depth in the last block. Pooling the class token instead
    of the patches' mean is no option that the published code can run.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    num_classes: int = 527
    drop_path: float = 0.1
    pooling: Literal["mean", "class_token"] = "mean"

    def __post_init__(self) -> None:
        """Refuse a network without classes, and a rate that leaves nothing."""
        if self.num_classes < 1 or not 0 <= self.drop_path < 1:
            raise ConfigError(
                f"Audio-MAE: num_classes ({self.num_classes}) must be at least 1 and drop_path "
                f"({self.drop_path}) in [0, 1)"
            )


def vit_small(*, num_frames: int = 1024) -> EncoderConfig:
    """ViT-S, 21.6 M parameters when fine-tuned."""
    return EncoderConfig(num_frames=num_frames, width=384, num_heads=6, hidden=1536)


def vit_base(*, num_frames: int = 1024) -> EncoderConfig:
    """ViT-B, the size of the published weights."""
    return EncoderConfig(num_frames=num_frames)


def vit_large(*, num_frames: int = 1024) -> EncoderConfig:
    """ViT-L, 303 M parameters when fine-tuned."""
    return EncoderConfig(
        num_frames=num_frames, width=1024, num_layers=24, num_heads=16, hidden=4096
    )


def global_decoder(num_blocks: int = 8) -> DecoderConfig:
    """Global attention with the class token, as in masked autoencoders of pictures."""
    return DecoderConfig(blocks=("global",) * num_blocks, keeps_class_token=True)


def local_decoder() -> DecoderConfig:
    """Windows of 4 x 4 tokens, moved in every second block: the published weights' decoder."""
    return DecoderConfig()


def unshifted_decoder() -> DecoderConfig:
    """Windows that are never moved. Source: Audio-MAE, table 1c."""
    return DecoderConfig(blocks=("window",) * 16)


def hybrid_decoder() -> DecoderConfig:
    """Eight blocks of windows, then four global ones; no code of it was published.

    Source: Audio-MAE, table 1c.
    """
    return DecoderConfig(blocks=("window", "shifted_window") * 4 + ("global",) * 4)


def overlap_decoder() -> DecoderConfig:
    """Windows of 6 x 6 tokens, for patches of 16 every 10."""
    return DecoderConfig(window=(6, 6))


def _check_width(what: str, width: int, num_heads: int) -> None:
    if num_heads < 1 or width < 1 or width % num_heads or width % 4:
        raise ConfigError(
            f"Audio-MAE {what}: width ({width}) must be a multiple of num_heads ({num_heads}) and "
            "of 4 (sine and cosine of two axes)"
        )
