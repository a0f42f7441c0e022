"""Patch discriminator for spectrograms.

Axes: b clips, m mel bands, t frames, h and w logit rows and columns.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import ConfigError

LEAKY_SLOPE = 0.2
INITIAL_STD = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchDiscriminatorConfig:
    """Sizes of the patch discriminator; the defaults are the published ones."""

    channels: int = 64
    num_layers: int = 3

    def __post_init__(self) -> None:
        if self.channels < 1 or self.num_layers < 1:
            raise ConfigError(
                f"patch discriminator: channels ({self.channels}) and num_layers "
                f"({self.num_layers}) must be at least 1"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each convolution but the last."""
        return tuple(self.channels * min(2**i, 8) for i in range(self.num_layers + 1))


class PatchDiscriminator(nn.Module):
    """Convolutions that judge overlapping patches of a spectrogram.

    Initialised as published: convolution weights N(0, 0.02), norm weights N(1, 0.02).
    Source: Isola et al., 2017; SpecVQGAN, sec. 3.1.
    """

    def __init__(self, config: PatchDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths, last = config.widths, config.num_layers
        convs = [
            nn.Conv2d(
                widths[i - 1] if i else 1,
                width,
                4,
                stride=2 if i < last else 1,
                padding=1,
                bias=i == 0,  # a norm follows the others
            )
            for i, width in enumerate(widths)
        ]
        norms = [nn.BatchNorm2d(width) for width in widths[1:]]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(norms)
        self.conv_out = nn.Conv2d(widths[-1], 1, 4, padding=1)
        for conv in (*convs, self.conv_out):
            nn.init.normal_(conv.weight, 0.0, INITIAL_STD)
        for norm in norms:
            nn.init.normal_(norm.weight, 1.0, INITIAL_STD)

    def forward(self, mel: Float[Tensor, "b 1 m t"]) -> Float[Tensor, "b 1 h w"]:
        """One logit per patch; positive means real."""
        x = F.leaky_relu(self.convs[0](mel), LEAKY_SLOPE)
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), LEAKY_SLOPE)
        return self.conv_out(x)
