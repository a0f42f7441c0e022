"""Distances of feature sets: equal sets, worked cases, refusals."""

import math

import numpy as np
import pytest

from earsight.errors import ConfigError, InputError
from earsight.metrics.frechet import Moments, frechet_distance, moments
from earsight.metrics.inception_score import inception_score
from earsight.metrics.kernel import KernelConfig, kernel_distance
from earsight.metrics.relevance import cosine_score


def drawn(count: int, width: int = 3, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def test_frechet_distance_of_gaussians_known_by_hand() -> None:
    first = Moments(mean=np.array([1.0, 2.0]), covariance=np.diag([4.0, 9.0]), count=9)
    other = Moments(mean=np.array([0.0, 0.0]), covariance=np.diag([1.0, 1.0]), count=9)
    # |(1, 2)|^2 + (2 - 1)^2 + (3 - 1)^2
    assert frechet_distance(first, other) == pytest.approx(10, rel=1e-9)
    assert frechet_distance(other, first) == pytest.approx(10, rel=1e-9)


def test_frechet_distance_of_equal_and_of_shifted_sets() -> None:
    rows = drawn(40)
    assert frechet_distance(moments(rows), moments(rows)) == pytest.approx(0, abs=1e-9)
    shifted = moments(rows + np.array([3.0, 0.0, 0.0]))
    assert frechet_distance(moments(rows), shifted) == pytest.approx(9, rel=1e-9)


def test_moments_keep_the_precision_of_the_published_evaluator() -> None:
    found = moments(drawn(5).astype(np.float32))
    assert (found.mean.dtype, found.covariance.dtype) == (np.float32, np.float64)
    expected = [[2.0, -1.0], [-1.0, 0.5]]  # over n - 1 = 1
    worked = moments(np.array([[0.0, 1.0], [2.0, 0.0]]))
    np.testing.assert_allclose(worked.covariance, expected, atol=1e-12)


def test_a_root_that_does_not_exist_takes_the_ridge() -> None:
    empty = np.zeros((2, 2))
    first = Moments(mean=np.zeros(2), covariance=np.array([[0.0, 1.0], [0.0, 0.0]]), count=2)
    other = Moments(mean=np.zeros(2), covariance=np.eye(2), count=2)
    found = frechet_distance(first, other)  # trace 0 + 2, less twice the root's 2 * sqrt(1e-6)
    assert found == pytest.approx(2 - 4e-3, abs=1e-5)
    none = Moments(mean=np.zeros(2), covariance=empty, count=2)
    assert frechet_distance(none, other) == pytest.approx(2, abs=1e-9)


def test_an_imaginary_root_is_refused() -> None:
    first = Moments(mean=np.zeros(1), covariance=np.array([[-1.0]]), count=2)
    other = Moments(mean=np.zeros(1), covariance=np.array([[1.0]]), count=2)
    with pytest.raises(InputError, match=r"imaginary by 1 .*give more samples"):
        frechet_distance(first, other)


def test_unusable_features_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="fakes: 1 samples, at least 2"):
        moments(drawn(1), name="fakes")
    broken = drawn(6)
    broken[[2, 4], 0] = math.nan, math.inf
    with pytest.raises(InputError, match=r"2 of 6 samples .* \(rows 2, 4\)"):
        moments(broken)
    with pytest.raises(InputError, match=r"\(3,\) in one set and \(4,\)"):
        frechet_distance(moments(drawn(5)), moments(drawn(5, 4)))


def test_kernel_distance_worked_by_hand() -> None:
    config = KernelConfig(num_subsets=2, degree=1, gamma=1.0, offset=0.0)
    found = kernel_distance(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]), config)
    # 2 * (1 * 2) / 2 + 2 * (3 * 4) / 2 - 2 * (1 + 2) * (3 + 4) / 4
    assert (found.mean, found.std) == pytest.approx((3.5, 0), abs=1e-12)
    assert found.subset_size == 2, "cut to the smaller set"


def test_kernel_distance_of_one_distribution_is_about_nothing() -> None:
    found = kernel_distance(drawn(300), drawn(300, seed=1), KernelConfig(subset_size=200))
    assert abs(found.mean) < 3 * found.std
    assert kernel_distance(drawn(300), drawn(300) + 2.0).mean > 5
    with pytest.raises(InputError, match=r"\(3,\) in one set and \(4,\)"):
        kernel_distance(drawn(9), drawn(9, 4))
    with pytest.raises(InputError, match="real: 1 samples"):
        kernel_distance(drawn(9), drawn(1))
    with pytest.raises(ConfigError, match="subset_size"):
        KernelConfig(subset_size=1)


def test_inception_score_from_one_to_the_number_of_classes() -> None:
    sure = 100 * np.eye(4)[np.arange(8) % 4]
    found = inception_score(sure, num_splits=2, shuffle_seed=None)
    assert (found.mean, found.std) == pytest.approx((4, 0), abs=1e-9)
    assert inception_score(np.zeros((10, 4))).mean == pytest.approx(1, abs=1e-9)
    ordered = 100 * np.eye(4)[np.arange(8) // 2]
    assert inception_score(ordered, num_splits=4, shuffle_seed=None).mean == pytest.approx(1)
    assert inception_score(ordered, num_splits=4).mean > 1.5, "shuffling joins other classes"
    with pytest.raises(InputError, match="9 samples, at least 10"):
        inception_score(np.zeros((9, 4)))


def test_cosines_of_pairs() -> None:
    rows = drawn(6)
    assert cosine_score(rows, 5 * rows) == pytest.approx(1, abs=1e-12)
    assert cosine_score(rows, -rows) == pytest.approx(-1, abs=1e-12)
    first, second = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])
    assert cosine_score(first, second) == pytest.approx(math.sqrt(0.5) / 2, abs=1e-12)
    with pytest.raises(InputError, match="6 and 5 embeddings"):
        cosine_score(rows, rows[:5])
    with pytest.raises(InputError, match="row of zeros"):
        cosine_score(rows, 0 * rows)
    with pytest.raises(InputError, match="at least 1"):
        cosine_score(rows[:0], rows[:0])
