"""Distance between the levels of two log-mel spectrograms.

Spectrograms are in [0, 1], 100 dB wide. Axes: b clips, m mel bands, t frames, g groups of bands.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

DB_PER_UNIT = 100.0
NEPERS_PER_UNIT = DB_PER_UNIT / 10 * math.log(10)  # of power


def group_levels(mel: Float[Tensor, "b m t"], *, bands_per_group: int) -> Float[Tensor, "b g t"]:
    """Level per frame of the summed power of neighbouring bands, in the units of the input.

    A level is 0 where every band of the group is 0, and 1 where every band is 1. The number of
    bands must be a multiple of `bands_per_group`.
    """
    grouped = rearrange(mel, "b (g n) t -> b g n t", n=bands_per_group)
    summed = torch.logsumexp(grouped * NEPERS_PER_UNIT, dim=2) - math.log(bands_per_group)
    return summed / NEPERS_PER_UNIT


def level_distance(
    mel: Float[Tensor, "b m t"], rebuilt: Float[Tensor, "b m t"], *, bands_per_group: int
) -> Float[Tensor, ""]:
    """Mean absolute difference of the levels of whole frames and of groups of bands.

    The absolute error of a log spectrogram is smallest for each bin's median, whose power lies
    several dB under the power of what it stands for; this term keeps the power.
    """
    parts = [
        (
            group_levels(rebuilt, bands_per_group=size) - group_levels(mel, bands_per_group=size)
        ).abs()
        for size in (mel.shape[1], bands_per_group)
    ]
    return 0.5 * (parts[0].mean() + parts[1].mean())
