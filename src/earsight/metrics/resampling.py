"""Scores of many resamples of one set of clips at once, for standard errors.

A resample is how often each clip was drawn; scores are those of `metrics.classification` on the
drawn clips, computed without drawing them.

Axes: r resamples, n clips, u thresholds.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from earsight.errors import InputError


def bootstrap_counts(
    num_clips: int, *, num_resamples: int, rng: np.random.Generator
) -> Int[np.ndarray, "r n"]:
    """How often each clip is drawn when as many as there are are drawn with replacement.

    Raises InputError for no clips, or less than two resamples, which have no spread.
    """
    if num_clips < 1 or num_resamples < 2:
        raise InputError(
            f"a bootstrap needs clips and two resamples, got {num_clips} and {num_resamples}"
        )
    drawn = rng.integers(num_clips, size=(num_resamples, num_clips))
    places = drawn + num_clips * np.arange(num_resamples)[:, None]
    found = np.bincount(places.ravel(), minlength=num_resamples * num_clips)
    return found.reshape(num_resamples, num_clips)


def resampled_curves(
    scores: Float[np.ndarray, " n"],
    positives: Bool[np.ndarray, " n"],
    counts: Int[np.ndarray, "r n"],
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """`average_precision` and `area_under_curve` of every resample.

    NaN for one without a positive, and the second also for one without a negative.
    """
    found, hits = _at_thresholds(scores, positives, counts)
    misses = found - hits
    gained, missed = np.diff(hits, prepend=0, axis=1), np.diff(misses, prepend=0, axis=1)
    # thresholds above the first drawn clip have found nothing and gain nothing
    precise = (gained * hits / np.maximum(found, 1)).sum(axis=1)
    won = (missed * (hits - gained / 2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return precise / hits[:, -1], won / (hits[:, -1] * misses[:, -1])


def _at_thresholds(
    scores: Float[np.ndarray, " n"],
    positives: Bool[np.ndarray, " n"],
    counts: Int[np.ndarray, "r n"],
) -> tuple[Float[np.ndarray, "r u"], Float[np.ndarray, "r u"]]:
    """Drawn clips, and positives among them, at or above each score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    drawn = counts[:, order]
    found = np.cumsum(drawn, axis=1)[:, last].astype(float)
    hits = np.cumsum(drawn * positives[order], axis=1)[:, last].astype(float)
    return found, hits
