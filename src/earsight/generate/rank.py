"""Scores that choose the best of several samples.   Axes: b samples, m mel bands, t frames."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

AUDIBLE = 0.2
"""Mean of the [0, 1] log spectrogram that the loudest twentieth of a sample must reach."""


def frame_loudness(mel: Float[Tensor, "b m t"], *, num_frames: int) -> Float[Tensor, "b n"]:
    """Loudness over time in `num_frames` steps: the mean of the [0, 1] log spectrogram."""
    loudness = mel.clamp(0, 1).mean(dim=1, keepdim=True)
    return functional.interpolate(loudness, size=num_frames, mode="linear", antialias=False)[:, 0]


def loudness_follows_motion(
    mel: Float[Tensor, "b m t"], motion: Float[Tensor, " n"]
) -> Float[Tensor, " b"]:
    """Correlation of a sample's loudness with the motion it belongs to, -1 to 1.

    Both are smoothed over about a tenth of a second. 0 where either does not change at all, so
    for a still picture all samples tie and the first one wins. A sample that is nowhere louder than
    AUDIBLE loses 1: next to silence follows any motion.
    """
    loudness = _smooth(frame_loudness(mel, num_frames=motion.shape[0]))
    faint = (loudness.quantile(0.95, dim=1) < AUDIBLE).to(loudness)
    track = _smooth(motion[None].to(loudness))
    loudness = loudness - loudness.mean(dim=1, keepdim=True)
    track = track - track.mean(dim=1, keepdim=True)
    power = (loudness.square().sum(dim=1) * track.square().sum(dim=1)).sqrt()
    score = torch.where(
        power > 1e-6, (loudness * track).sum(dim=1) / power.clamp(min=1e-6), torch.zeros_like(power)
    )
    return score - faint


def _smooth(values: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    padded = functional.pad(values[:, None], (1, 1), mode="replicate")
    return functional.avg_pool1d(padded, 3, stride=1)[:, 0]
