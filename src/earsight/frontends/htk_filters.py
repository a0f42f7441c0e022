"""Triangular mel filters on the HTK scale, computed; published matrices are read from `stored`.

Two rules exist for the sides of a triangle: straight in mel (VGGish, Kaldi) or straight in Hz
(torchaudio). Both give a peak of 1 and no area norm.

Axes: m mel bands, f frequency bins.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

BREAK_HZ = 700.0
MELS_PER_LOG = 1127.0


def htk_filters(
    *,
    rate_hz: int,
    fft_samples: int,
    num_mels: int,
    low_hz: float,
    high_hz: float,
    straight_in: Literal["mel", "hz"],
) -> Float[Tensor, "m f"]:
    """Triangles between `num_mels` + 2 points at equal distances in mel, float64.

    Used to make and to check the stored matrices; a front end reads its stored one.
    """
    bins_hz = torch.arange(fft_samples // 2 + 1, dtype=torch.float64) * (rate_hz / fft_samples)
    low, high = (float(_mel(torch.tensor(edge, dtype=torch.float64))) for edge in (low_hz, high_hz))
    corners = torch.linspace(low, high, num_mels + 2, dtype=torch.float64)
    places = _mel(bins_hz)
    if straight_in == "hz":
        corners, places = BREAK_HZ * torch.expm1(corners / MELS_PER_LOG), bins_hz
    left, centre, right = (corners[i : num_mels + i, None] for i in range(3))
    rising = (places - left) / (centre - left)
    falling = (right - places) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def _mel(frequency_hz: Tensor) -> Tensor:
    return MELS_PER_LOG * torch.log1p(frequency_hz / BREAK_HZ)
