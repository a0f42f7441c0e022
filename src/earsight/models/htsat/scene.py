"""HTS-AT over time: scores at every frame of a clip of any length, and averages over shifts.

Axes: b clips, s samples, t frames, m mel bands, k classes.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from earsight.models.htsat.image import whole_starts
from earsight.models.htsat.model import CROPS_AT_ONCE, Htsat

SHIFT_SAMPLES = 100
NUM_SHIFTS = 10


def timeline(network: Htsat, mel: Float[Tensor, "b t m"]) -> Float[Tensor, "b t k"]:
    """Probability of each class at every spectrogram frame.

    The published framewise output follows the picture's time, which a short clip is stretched to
    and in which parts of a long one are averaged over each other. Here every value stands at its
    frame: long clips are read in pictures that overlap by half, and averaged where they do.
    """
    num_frames, size = mel.shape[1], network.config.max_frames
    if num_frames <= size:
        return _at_frames(network, mel)
    starts = whole_starts(num_frames, size)
    total = mel.new_zeros(len(mel), num_frames, network.config.num_classes)
    count = mel.new_zeros(num_frames, 1)
    for first in range(0, len(starts), CROPS_AT_ONCE):
        some = starts[first : first + CROPS_AT_ONCE]
        parts = torch.cat([mel[:, start : start + size] for start in some])
        scores = rearrange(_at_frames(network, parts), "(n b) t k -> n b t k", n=len(some))
        for start, own in zip(some, scores, strict=True):
            total[:, start : start + size] += own
            count[start : start + size] += 1
    return total / count


def shifted_scores(
    network: Htsat,
    wave: Float[Tensor, "b s"],
    log_mel: Callable[[Tensor], Tensor],
    *,
    num_shifts: int = NUM_SHIFTS,
) -> Float[Tensor, "b k"]:
    """Scores averaged over cyclic moves of the wave by 0, 100, 300, 600, 1000, ... samples.

    Source: official repository RetroCirce/HTS-Audio-Transformer, test on AudioSet.
    """
    moves = cyclic_moves(num_shifts)
    scores = [network(log_mel(wave.roll(-move, dims=1))).scores for move in moves]
    return torch.stack(scores).mean(dim=0)


def cyclic_moves(num_shifts: int) -> list[int]:
    """Samples that each copy of a wave is moved by, from none on."""
    return [SHIFT_SAMPLES * number * (number + 1) // 2 for number in range(num_shifts)]


def _at_frames(network: Htsat, mel: Float[Tensor, "b t m"]) -> Float[Tensor, "b t k"]:
    """The framewise output of one picture at the frames that were stretched to it."""
    steps: Tensor = network(mel).framewise
    places = torch.linspace(0, steps.shape[1] - 1, mel.shape[1], device=mel.device)
    return steps[:, places.round().long()]
