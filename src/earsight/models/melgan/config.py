"""Sizes of the vocoder and of its training-time discriminators."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class MelGANConfig:
    """Sizes of the generator; the defaults are the published ones.

    `channels` is the width at full sample rate: it doubles with every stage towards the mel.
    Source: Kumar et al., 2019; official repositories descriptinc/melgan-neurips and
    v-iashin/SpecVQGAN.
    """

    num_mels: int = 80
    channels: int = 32
    num_residual_layers: int = 3
    ratios: tuple[int, ...] = (8, 8, 2, 2)

    def __post_init__(self) -> None:
        """Refuse sizes without a network."""
        if min(self.num_mels, self.channels, *self.ratios) < 1 or not self.ratios:
            raise ConfigError(
                f"num_mels ({self.num_mels}), channels ({self.channels}) and ratios {self.ratios} "
                "must be positive, with at least one ratio"
            )
        if self.num_residual_layers < 0:
            raise ConfigError(
                f"num_residual_layers ({self.num_residual_layers}) must not be below 0"
            )

    @property
    def hop_samples(self) -> int:
        """Samples per mel frame: the product of the ratios."""
        return prod(self.ratios)

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Width before the first stage and after each one."""
        num_stages = len(self.ratios)
        return tuple(self.channels << (num_stages - stage) for stage in range(num_stages + 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """Sizes of the multi-scale discriminator; the defaults are the published ones."""

    num_scales: int = 3
    channels: int = 16
    num_layers: int = 4
    factor: int = 4
    max_channels: int = 1024

    def __post_init__(self) -> None:
        """Refuse widths that the grouped convolutions cannot divide."""
        if min(self.num_scales, self.num_layers, self.factor) < 1 or self.channels % 4:
            raise ConfigError(
                f"channels ({self.channels}) must be a multiple of 4, and num_scales "
                f"({self.num_scales}), num_layers ({self.num_layers}), factor ({self.factor}) "
                "at least 1"
            )
        for before, after in pairwise(self.layer_channels):
            if after % (before // 4):
                raise ConfigError(
                    f"max_channels ({self.max_channels}) gives a layer of {after} channels after "
                    f"one of {before}: it must be a multiple of {before // 4}"
                )

    @property
    def layer_channels(self) -> tuple[int, ...]:
        """Width after the first layer and after each strided one."""
        return tuple(
            min(self.channels * self.factor**layer, self.max_channels)
            for layer in range(self.num_layers + 1)
        )
