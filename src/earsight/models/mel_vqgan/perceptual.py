"""Learned perceptual distance between spectrograms (LPAPS).

Axes: b clips, m mel bands, t frames, c channels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import ConfigError
from earsight.frontends.specvqgan_mel import NUM_MELS, TABLE, TABLE_SHA256
from earsight.frontends.stored_tables import load_table
from earsight.nn.initial import initialise_rectified

UNIT_NORM_EPS = 1e-10
LIN_DROPOUT = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class LPAPSConfig:
    """Sizes of the perceptual network: channels and convolutions per slice of a VGG-16."""

    num_mels: int = NUM_MELS
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    convs_per_slice: tuple[int, ...] = (2, 2, 3, 3, 3)

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.convs_per_slice) or not self.widths:
            raise ConfigError(
                f"LPAPS: widths {self.widths} and convs_per_slice {self.convs_per_slice} must "
                "name the same slices, at least one"
            )
        if min(*self.widths, *self.convs_per_slice, self.num_mels) < 1:
            raise ConfigError("LPAPS: every width, convolution count and num_mels must be positive")


class VGGSlice(nn.Module):
    """Convolutions of one VGG level, halved first except at the top."""

    def __init__(self, *, channels_in: int, channels: int, num_convs: int, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        convs = [
            nn.Conv2d(channels if i else channels_in, channels, 3, padding=1)
            for i in range(num_convs)
        ]
        self.convs = nn.ModuleList(convs)
        for conv in convs:
            initialise_rectified(conv)

    def forward(self, x: Float[Tensor, "b c m t"]) -> Float[Tensor, "b d m2 t2"]:
        """Activations after the last rectifier."""
        if self.pooled:
            x = F.max_pool2d(x, 2)
        for conv in self.convs:
            x = F.relu(conv(x))
        return x


class LPAPS(nn.Module):
    """Weighted distance between unit-length VGGish-ish activations, summed over five slices.

    The published code never loads trained weights into it: network and signed channel weights
    stay random, so the distance can be negative, and a codebook checkpoint carries the tensors
    it was trained against. Channel weights have a dropout of 0.5 in training mode. Nothing here
    is trained, gradients flow to the inputs. Source: SpecVQGAN, sec. 3.1 and its README's erratum.
    """

    shift: Float[Tensor, "1 1 m 1"]
    scale: Float[Tensor, "1 1 m 1"]

    def __init__(self, config: LPAPSConfig) -> None:
        super().__init__()
        self.config = config
        shift, scale = _band_scaling(config.num_mels)
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.slices = nn.ModuleList(
            VGGSlice(
                channels_in=config.widths[i - 1] if i else 1,
                channels=width,
                num_convs=config.convs_per_slice[i],
                pooled=i > 0,
            )
            for i, width in enumerate(config.widths)
        )
        self.weights = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in config.widths)
        self.requires_grad_(False)

    def forward(
        self, mel: Float[Tensor, "b 1 m t"], other: Float[Tensor, "b 1 m t"]
    ) -> Float[Tensor, "b 1 1 1"]:
        """Distance of spectrograms in [-1, 1]."""
        return self.per_slice(mel, other).sum(dim=1)[:, None, None, None]

    def per_slice(
        self, mel: Float[Tensor, "b 1 m t"], other: Float[Tensor, "b 1 m t"]
    ) -> Float[Tensor, "b n"]:
        """Contribution of every slice to the distance."""
        parts: list[Tensor] = []
        pairs = zip(self.activations(mel), self.activations(other), self.weights, strict=True)
        for own, others, weight in pairs:
            difference = (_unit(own) - _unit(others)).pow(2)
            kept = F.dropout(difference, LIN_DROPOUT, training=self.training)
            parts.append(weight(kept).mean(dim=(1, 2, 3)))
        return torch.stack(parts, dim=1)

    def channel_distances(
        self, mel: Float[Tensor, "b 1 m t"], other: Float[Tensor, "b 1 m t"]
    ) -> Float[Tensor, "b n"]:
        """Mean squared difference per channel of all slices, before any weight.

        The distance without dropout is its sum, weighted by the channel weights in their order.
        """
        pairs = zip(self.activations(mel), self.activations(other), strict=True)
        parts = [(_unit(own) - _unit(others)).pow(2).mean(dim=(2, 3)) for own, others in pairs]
        return torch.cat(parts, dim=1)

    def activations(self, mel: Float[Tensor, "b 1 m t"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Output of every slice for spectrograms in [-1, 1]."""
        x, found = self.scaled(mel), list[Tensor]()
        for part in self.slices:
            x = part(x)
            found.append(x)
        return found

    def scaled(self, mel: Float[Tensor, "b 1 m t"]) -> Float[Tensor, "b 1 m t"]:
        """Every band standardised by the statistics of the training set."""
        return (mel - self.shift) / self.scale


def _unit(x: Float[Tensor, "b c m t"]) -> Float[Tensor, "b c m t"]:
    return x / (x.pow(2).sum(dim=1, keepdim=True).sqrt() + UNIT_NORM_EPS)


def _band_scaling(num_mels: int) -> tuple[Float[Tensor, "1 1 m 1"], Float[Tensor, "1 1 m 1"]]:
    """Statistics of the [0, 1] bands moved to [-1, 1]; neutral for other band counts."""
    if num_mels != NUM_MELS:
        return torch.zeros(1, 1, num_mels, 1), torch.ones(1, 1, num_mels, 1)
    table = load_table(TABLE, sha256=TABLE_SHA256)
    shift, scale = 2 * table["band_means"] - 1, 2 * table["band_stds"]
    return shift.float()[None, None, :, None], scale.float()[None, None, :, None]
