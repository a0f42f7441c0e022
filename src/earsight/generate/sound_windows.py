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


def over_time(
    spans: Float[Tensor, "n 2"], values: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, " e1"], Float[Tensor, "e d"]]:
    """What windows say, moment by moment: edges of stretches in time, and the values of each.

    Where several windows cover a moment it has their mean. `spans` are starts and ends, both in
    order; together they leave no moment out.
    """
    starts, ends = spans.double().T.contiguous()
    ordered = torch.cat([starts, ends]).sort().values
    edges = ordered[torch.cat([torch.ones(1).bool(), ordered.diff() > 0])]
    first, last = torch.searchsorted(edges, starts), torch.searchsorted(edges, ends)
    told = torch.cat([values.double(), torch.ones(len(values), 1)], dim=1)
    change = torch.zeros(len(edges), told.shape[1], dtype=torch.float64)
    summed = change.index_add(0, first, told).index_add(0, last, -told).cumsum(0)[:-1]
    return edges, (summed[:, :-1] / summed[:, -1:].round()).float()


def mean_over_time(
    spans: Float[Tensor, "n 2"], values: Float[Tensor, "n d"]
) -> Float[Tensor, " d"]:
    """Mean over time of what windows say, where several cover a moment of their mean."""
    edges, means = over_time(spans, values)
    lengths = edges.diff()
    return (lengths / lengths.sum()).float() @ means


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
