"""Agreement of two lists of onset times.   Axes: r reference onsets, e estimated onsets.

Source: the convention of mir_eval.onset and of MIREX: 50 ms either way, each onset used once.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from earsight.errors import InputError

WINDOW_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class OnsetScores:
    """How many onsets found a partner, of how many. `pairs` index both lists as they were given."""

    num_reference: int
    num_estimated: int
    pairs: Int[np.ndarray, "p 2"]

    @property
    def precision(self) -> float:
        """Share of estimated onsets with a partner; 0 where there are none."""
        return len(self.pairs) / self.num_estimated if self.num_estimated else 0.0

    @property
    def recall(self) -> float:
        """Share of reference onsets with a partner; 0 where there are none."""
        return len(self.pairs) / self.num_reference if self.num_reference else 0.0

    @property
    def f_measure(self) -> float:
        """Harmonic mean of precision and recall; 0 without onsets, in either list or both."""
        total = self.num_reference + self.num_estimated
        return 2 * len(self.pairs) / total if len(self.pairs) else 0.0


def onset_scores(
    reference_seconds: Float[np.ndarray, " r"],
    estimated_seconds: Float[np.ndarray, " e"],
    *,
    window_seconds: float = WINDOW_SECONDS,
) -> OnsetScores:
    """Pair as many onsets as can be paired one to one, at most `window_seconds` apart.

    Times may come in any order. Walking along both lists finds the largest number of pairs, since
    all windows are equally wide. Raises InputError for times that are not finite or negative.
    """
    for name, times in (("reference", reference_seconds), ("estimated", estimated_seconds)):
        if not np.isfinite(times).all() or (times < 0).any():
            raise InputError(f"{name} onsets must be finite seconds from 0 on")
    if not window_seconds >= 0:
        raise InputError(f"window_seconds must be 0 or more, got {window_seconds}")
    reference, estimated = np.argsort(reference_seconds), np.argsort(estimated_seconds)
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(reference) and j < len(estimated):
        expected = reference_seconds[reference[i]]
        found = estimated_seconds[estimated[j]]
        if found < expected - window_seconds:
            j += 1
        elif found > expected + window_seconds:
            i += 1
        else:
            pairs.append((int(reference[i]), int(estimated[j])))
            i, j = i + 1, j + 1
    return OnsetScores(
        num_reference=len(reference),
        num_estimated=len(estimated),
        pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2),
    )
