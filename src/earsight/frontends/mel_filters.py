"""Triangular mel filters on the Slaney scale, computed; published matrices are read from `stored`.

Axes: m mel bands, f frequency bins.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

LINEAR_HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27


def hz_to_mel(frequency_hz: float) -> float:
    """Slaney's scale, linear to 1 kHz and logarithmic above.

    Source: Slaney, Auditory Toolbox, 1998.
    """
    if frequency_hz < BREAK_HZ:
        return frequency_hz / LINEAR_HZ_PER_MEL
    return BREAK_MEL + math.log(frequency_hz / BREAK_HZ) / LOG_STEP


def mel_to_hz(mel: float) -> float:
    """Frequency in Hz of a value on Slaney's scale."""
    if mel < BREAK_MEL:
        return mel * LINEAR_HZ_PER_MEL
    return BREAK_HZ * math.exp(LOG_STEP * (mel - BREAK_MEL))


def slaney_filters(
    *, rate_hz: int, fft_samples: int, num_mels: int, low_hz: float, high_hz: float
) -> Float[Tensor, "m f"]:
    """Triangles of unit area (2 over their width in Hz), float32.

    Used to make and to check the stored matrices; a front end reads its stored one.
    """
    low, high = hz_to_mel(low_hz), hz_to_mel(high_hz)
    edges = [mel_to_hz(low + (high - low) * i / (num_mels + 1)) for i in range(num_mels + 2)]
    bins = torch.arange(fft_samples // 2 + 1, dtype=torch.float64) * (rate_hz / fft_samples)
    corners = torch.tensor(edges, dtype=torch.float64)
    left, centre, right = (corners[i : num_mels + i, None] for i in range(3))
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (right - left)).float()
