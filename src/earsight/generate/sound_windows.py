"""A sound that arrives in pieces, as windows of one length; memory does not grow with its length.

Axes: c channels, s samples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.media.waveform import Waveform


@dataclass(frozen=True, slots=True)
class SoundWindow:
    """A stretch of a sound, mono; `num_fresh` of its samples lie in no earlier window."""

    samples: Float[Tensor, " s"]
    start: int
    num_fresh: int

    @property
    def end(self) -> int:
        """The first sample behind the window."""
        return self.start + len(self.samples)


def sound_windows(
    pieces: Iterable[Waveform], *, window_samples: int, hop_samples: int
) -> Iterator[SoundWindow]:
    """Windows every hop, the last one flush with the end; the whole sound where it is shorter.

    Channels are mixed. How the sound is cut into pieces changes nothing. Raises InputError for a
    hop outside 1..window_samples.
    """
    if not 1 <= hop_samples <= window_samples:
        raise InputError(
            f"windows of {window_samples} samples need a hop of 1 to {window_samples}, got "
            f"{hop_samples}"
        )
    held = torch.zeros(0)
    # the first held sample, the first one that lay in no window, the next window's first one
    start, covered, upcoming = 0, 0, 0
    for piece in pieces:
        held = torch.cat([held, piece.mono().samples[0]])
        while start + len(held) >= upcoming + window_samples:
            # an emitted window stays held, so that one flush with the end can reach back into it
            held, start = held[upcoming - start :], upcoming
            end = start + window_samples
            yield SoundWindow(held[:window_samples], start, end - covered)
            covered, upcoming = end, start + hop_samples
    total = start + len(held)
    if total > covered:
        first = max(start, total - window_samples)
        yield SoundWindow(held[first - start :], first, total - covered)
