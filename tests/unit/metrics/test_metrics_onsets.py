"""Pairs of onsets against worked cases and an exhaustive matching."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from earsight.errors import InputError
from earsight.metrics.onsets import onset_scores


def times(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def test_worked_by_hand() -> None:
    found = onset_scores(times(0.0, 1.0, 2.0), times(0.04, 1.06, 1.95, 3.0))
    assert found.pairs.tolist() == [[0, 0], [2, 2]]
    assert (found.precision, found.recall) == (0.5, pytest.approx(2 / 3))
    assert found.f_measure == pytest.approx(4 / 7)


def test_each_onset_is_used_once_and_the_window_includes_its_end() -> None:
    assert onset_scores(times(1.0), times(0.96, 1.0, 1.04)).f_measure == 0.5
    assert onset_scores(times(1.0), times(1.25), window_seconds=0.25).recall == 1.0
    # pairing the nearest first would leave one of the two without a partner
    assert onset_scores(times(1.0, 1.06), times(1.04, 1.10)).f_measure == 1.0


def test_perfect_and_empty() -> None:
    assert onset_scores(times(2.0, 1.0), times(1.0, 2.0)).f_measure == 1.0
    for reference, estimated in ((times(), times(1.0)), (times(1.0), times()), (times(), times())):
        found = onset_scores(reference, estimated)
        assert (found.precision, found.recall, found.f_measure) == (0.0, 0.0, 0.0)


def test_no_matching_has_more_pairs() -> None:
    draws = np.random.default_rng(1)
    for _ in range(200):
        reference, estimated = draws.random(draws.integers(1, 12)), draws.random(9)
        near = np.abs(np.subtract.outer(reference, estimated)) <= 0.1
        best = (maximum_bipartite_matching(csr_matrix(near)) >= 0).sum()
        found = onset_scores(reference, estimated, window_seconds=0.1)
        assert len(found.pairs) == best
        assert near[tuple(found.pairs.T)].all()


def test_wrong_times_are_refused() -> None:
    with pytest.raises(InputError, match="reference onsets must be finite"):
        onset_scores(times(-1.0), times())
    with pytest.raises(InputError, match="estimated onsets must be finite"):
        onset_scores(times(), times(np.nan))
    with pytest.raises(InputError, match="window_seconds"):
        onset_scores(times(), times(), window_seconds=-0.1)
