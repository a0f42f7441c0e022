"""Scores of resamples equal those of the clips that were drawn."""

import numpy as np
import pytest

from earsight.metrics.classification import area_under_curve, average_precision
from earsight.metrics.resampling import bootstrap_counts, resampled_curves


def test_resampled_scores_are_those_of_the_drawn_clips() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(6, size=40) / 6.0  # many ties
    positives = rng.random(40) < 0.3
    counts = bootstrap_counts(40, num_resamples=5, rng=rng)
    assert counts.sum(axis=1).tolist() == [40] * 5
    precision, area = resampled_curves(scores, positives, counts)
    for row, count in enumerate(counts):
        drawn = np.repeat(np.arange(40), count)
        expected = average_precision(scores[drawn], positives[drawn])
        assert precision[row] == pytest.approx(expected, abs=1e-12)
        expected = area_under_curve(scores[drawn], positives[drawn])
        assert area[row] == pytest.approx(expected, abs=1e-12)


def test_a_resample_without_a_positive_has_no_score() -> None:
    scores, positives = np.array([0.9, 0.1]), np.array([True, False])
    counts = np.array([[0, 2], [1, 1]])
    for found in resampled_curves(scores, positives, counts):
        assert found.tolist() == pytest.approx([np.nan, 1.0], nan_ok=True)
