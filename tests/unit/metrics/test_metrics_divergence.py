"""Divergences by tool: equal sets, worked cases, refusals."""

import math

import numpy as np
import pytest

from earsight.errors import InputError
from earsight.metrics.divergence import audiocraft_kld, audioldm_kl, av_benchmark_kl, mkl

REAL = np.log(np.array([[0.5, 0.5]]))
FAKE = np.log(np.array([[0.25, 0.75]]))
WORKED = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
REVERSED = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
LOG_HALF = math.log(0.5)


def test_worked_by_hand() -> None:
    assert av_benchmark_kl(REAL, FAKE) == pytest.approx(WORKED, rel=1e-12)
    with_epsilon = 0.5 * (LOG_HALF - math.log(0.25 + 1e-6) + LOG_HALF - math.log(0.75 + 1e-6))
    assert mkl(REAL, FAKE[:, None]) == pytest.approx(with_epsilon, rel=1e-12)
    assert audioldm_kl(REAL, FAKE) == pytest.approx(with_epsilon, rel=1e-12)
    both = audiocraft_kld(REAL, FAKE)
    assert both.real_generated == pytest.approx(with_epsilon, rel=1e-12)
    assert both.generated_real == pytest.approx(REVERSED, abs=3e-6)
    assert both.both == both.real_generated + both.generated_real


def test_equal_sets_have_none() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 7))
    assert av_benchmark_kl(scores, scores) == pytest.approx(0, abs=1e-12)
    assert av_benchmark_kl(scores, scores + 3.0) == pytest.approx(0, abs=1e-12)
    assert audioldm_kl(scores, scores, squash="sigmoid") == pytest.approx(0, abs=7 * 1e-6)
    assert mkl(scores, scores[:, None]) == pytest.approx(0, abs=7 * 1e-6)


def test_every_sample_counts_once() -> None:
    samples = np.concatenate([FAKE, REAL, REAL])[None]
    assert mkl(REAL, samples) == pytest.approx(mkl(REAL, FAKE[:, None]) / 3, abs=2e-6)


def test_impossible_classes_stay_finite_with_an_epsilon_and_exact_without() -> None:
    sure = np.array([[2000.0, 0.0]])
    assert mkl(sure, -sure[:, None]) == pytest.approx(-math.log(1e-6), rel=1e-9)
    assert av_benchmark_kl(sure, -sure) == pytest.approx(2000, rel=1e-9)


def test_sigmoids_are_summed_without_their_complements() -> None:
    zero, other = np.zeros((1, 3)), np.full((1, 3), 2.0)
    expected = 3 * 0.5 * (LOG_HALF + math.log1p(math.exp(-2)))
    assert av_benchmark_kl(zero, other, squash="sigmoid") == pytest.approx(expected, rel=1e-12)
    assert expected < 0


def test_sets_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(InputError, match="1 real and 2 generated"):
        av_benchmark_kl(REAL, np.concatenate([FAKE, FAKE]))
    with pytest.raises(InputError, match="generated: 1 of 1 samples"):
        audioldm_kl(REAL, FAKE * math.nan)
    with pytest.raises(InputError, match="real: 0 samples"):
        av_benchmark_kl(REAL[:0], FAKE[:0])
    with pytest.raises(InputError, match="samples of a video"):
        mkl(REAL, FAKE[:, None][:, :0])
