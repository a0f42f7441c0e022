"""Random training segments of waves with the spectrogram that belongs to them.

Axes: n clips, b segments, s samples, m mel bands, t frames.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, log_mel

CONTEXT_FRAMES = 4  # on both sides, cut off again: no reflected border reaches the segment


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentDraw:
    """How segments are drawn.

    The loudest of `candidates` random starts is kept in `loud_share` of the draws, since clips
    hold much silence. In `gain_share` of them the clip's peak is set to a level uniform in
    `peak_db`; the rest keep their level. The sign is random.
    """

    num_frames: int = 32
    candidates: int = 3
    loud_share: float = 0.85
    gain_share: float = 0.6
    peak_db: tuple[float, float] = (-30.0, -0.5)

    @property
    def num_samples(self) -> int:
        """Samples of one segment."""
        return self.num_frames * MEL_HOP_SAMPLES


@dataclass(frozen=True, slots=True)
class Segments:
    """Waves and their spectrograms in [0, 1]: `num_frames` frames of 256 samples."""

    wave: Float[Tensor, "b s"]
    mel: Float[Tensor, "b m t"]


def draw_segments(
    waves: Float[Tensor, "n s"], draw: SegmentDraw, *, count: int, rng: torch.Generator
) -> Segments:
    """Segments at random starts of random clips at 22050 Hz.

    Raises InputError for clips shorter than a segment and its context.
    """
    length = (draw.num_frames + 2 * CONTEXT_FRAMES) * MEL_HOP_SAMPLES
    if waves.shape[0] == 0 or waves.shape[1] < length:
        raise InputError(
            f"waves are {tuple(waves.shape)}: at least one clip of {length} samples is needed "
            f"for segments of {draw.num_frames} frames and their context"
        )
    cut = torch.stack([_one(waves, draw, length, rng) for _ in range(count)])
    mel = log_mel(cut, num_frames=None)
    start = CONTEXT_FRAMES * MEL_HOP_SAMPLES
    return Segments(
        cut[:, start : start + draw.num_samples],
        mel[:, :, CONTEXT_FRAMES : CONTEXT_FRAMES + draw.num_frames],
    )


def _one(
    waves: Float[Tensor, "n s"], draw: SegmentDraw, length: int, rng: torch.Generator
) -> Float[Tensor, " _"]:
    clip = waves[int(torch.randint(waves.shape[0], (), generator=rng))]
    starts = torch.randint(clip.numel() - length + 1, (draw.candidates,), generator=rng)
    draws = torch.rand(4, generator=rng)
    is_loud, is_levelled, level, sign = (float(value) for value in draws)
    pieces = [clip[int(start) : int(start) + length] for start in starts]
    piece = pieces[0]
    if is_loud < draw.loud_share:
        piece = max(pieces, key=lambda each: float(each.square().sum()))
    peak = float(clip.abs().max())
    gain = 1.0 if sign < 0.5 else -1.0
    if is_levelled < draw.gain_share and peak > 0:
        low, high = draw.peak_db
        gain *= 10 ** ((low + (high - low) * level) / 20) / peak
    return piece * gain
