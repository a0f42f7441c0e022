"""Sizes of the spectrogram codebook model."""

from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class MelVQGANConfig:
    """Sizes of the spectrogram codebook model; the defaults are the published ones.

    `num_frames` is the length the network was laid out for: it is halved per level, and a level
    attends when the result is in `attention_resolutions`. Inputs of any other length work.
    Source: SpecVQGAN, sec. 3.1; official repository v-iashin/SpecVQGAN.
    """

    num_mels: int = 80
    num_frames: int = 848
    channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks_per_level: int = 2
    latent_channels: int = 256
    code_dim: int = 256
    num_codes: int = 1024
    attention_resolutions: tuple[int, ...] = (53,)
    middle_attention: bool = True
    norm_groups: int = 32
    dropout: float = 0.0

    def __post_init__(self) -> None:
        problems: list[str] = []
        sizes = {
            "num_mels": self.num_mels,
            "num_frames": self.num_frames,
            "channels": self.channels,
            "blocks_per_level": self.blocks_per_level,
            "latent_channels": self.latent_channels,
            "code_dim": self.code_dim,
            "num_codes": self.num_codes,
            "norm_groups": self.norm_groups,
        }
        problems += [f"{name} ({n}) must be at least 1" for name, n in sizes.items() if n < 1]
        if not self.channel_multipliers or min(self.channel_multipliers) < 1:
            problems.append(
                f"channel_multipliers {self.channel_multipliers} must be one or more positive "
                "numbers, one per level"
            )
        elif not problems:
            problems += self._contradictions()
        if not 0 <= self.dropout < 1:
            problems.append(f"dropout ({self.dropout}) must be in [0, 1)")
        if problems:
            raise ConfigError("mel VQGAN: " + "; ".join(problems))

    def _contradictions(self) -> list[str]:
        problems = [
            f"{name} ({n}) must be a multiple of the downsampling {self.downsample}"
            for name, n in (("num_mels", self.num_mels), ("num_frames", self.num_frames))
            if n % self.downsample
        ]
        problems += [
            f"{width} channels cannot be split into norm_groups ({self.norm_groups})"
            for width in sorted({self.channels, *self.widths})
            if width % self.norm_groups
        ]
        unknown = sorted(set(self.attention_resolutions) - set(self.resolutions))
        if unknown:
            problems.append(
                f"attention_resolutions {unknown} are no level's size: the levels have "
                f"{self.resolutions}"
            )
        return problems

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels per level, from the full size downwards."""
        return tuple(self.channels * m for m in self.channel_multipliers)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Frames per level at the nominal length."""
        return tuple(self.num_frames >> level for level in range(len(self.channel_multipliers)))

    @property
    def attention_levels(self) -> tuple[bool, ...]:
        """Which levels attend."""
        return tuple(size in self.attention_resolutions for size in self.resolutions)

    @property
    def downsample(self) -> int:
        """Mel frames, and mel bands, per code."""
        return 2 ** (len(self.channel_multipliers) - 1)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Rows and columns of the code grid at the nominal length."""
        return self.num_mels // self.downsample, self.num_frames // self.downsample
