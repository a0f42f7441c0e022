"""Loudness over time, and how alike two such tracks are.

Axes: s samples, f steps of a track, t frames of a track, n values.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

QUIETEST_DB = -40.0


def frame_levels_db(
    wave: Float[Tensor, " s"], rate_hz: int, *, num_frames: int, fps: float
) -> Float[np.ndarray, " t"]:
    """RMS level in every video frame below the loudest one, in decibel, -40 at least."""
    edges = [round(i * rate_hz / fps) for i in range(num_frames + 1)]
    total = torch.zeros(edges[-1] + 1, dtype=torch.float64)
    power = wave.detach().cpu().double().square()[: edges[-1]]
    total[1 : len(power) + 1] = power.cumsum(0)
    total[len(power) + 1 :] = total[len(power)]
    means = total[edges].diff() / torch.tensor(edges, dtype=torch.float64).diff()
    rms = means.clamp_min(0).sqrt()
    return floored_db(rms.numpy())  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)


def floored_db(
    amplitude: Float[np.ndarray, " f"], floor_db: float = QUIETEST_DB
) -> Float[np.ndarray, " f"]:
    """Level below the loudest moment, not under a floor."""
    loudest = max(float(amplitude.max()), 1e-12)
    return 20 * np.log10(np.maximum(amplitude / loudest, 10 ** (floor_db / 20)))


def correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Pearson correlation; 0 where one of the two does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0
