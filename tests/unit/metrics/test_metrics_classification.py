"""Scores of classifiers against worked cases and scikit-learn."""

import math

import numpy as np
import pytest

from earsight.errors import InputError
from earsight.metrics.classification import (
    area_under_curve,
    average_precision,
    classification_scores,
    d_prime,
    mean_average_precision,
    top_k_accuracy,
)


def test_curves_worked_by_hand() -> None:
    scores, positives = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, positives) == pytest.approx((1 + 2 / 3) / 2, abs=1e-12)
    assert area_under_curve(scores, positives) == pytest.approx(3 / 4, abs=1e-12)
    tied = np.full(4, 0.5)
    assert average_precision(tied, positives) == pytest.approx(0.5, abs=1e-12)
    assert area_under_curve(tied, positives) == pytest.approx(0.5, abs=1e-12)


def test_curves_are_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    draws = np.random.default_rng(3)
    scores = draws.normal(size=200).round(1)  # with ties
    positives = draws.random(200) < 0.2
    assert average_precision(scores, positives) == pytest.approx(
        average_precision_score(positives, scores), abs=1e-12
    )
    assert area_under_curve(scores, positives) == pytest.approx(
        roc_auc_score(positives, scores), abs=1e-12
    )


def test_top_k_counts_ties_against_the_classifier() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])
    labels = np.array([0, 0, 0])
    assert top_k_accuracy(scores, labels, k=1) == pytest.approx(1 / 3)
    assert top_k_accuracy(scores, labels, k=2) == pytest.approx(2 / 3)
    assert top_k_accuracy(scores, labels, k=5) == 1.0
    assert top_k_accuracy(np.zeros((2, 9)), np.array([1, 2]), k=5) == 0.0


def test_a_perfect_classifier_and_classes_that_do_not_occur() -> None:
    labels = np.array([0, 1, 1, 0])
    found = classification_scores(np.eye(3)[labels], labels, class_names=("cat", "dog", "owl"))
    assert (found.top_1, found.top_5) == (1.0, 1.0)
    assert found.mean_average_precision == found.mean_auc == 1.0
    assert found.d_prime == math.inf
    assert found.left_out == ("owl",)
    alone = classification_scores(np.ones((2, 1)), np.array([0, 0]), class_names=("cat",))
    assert math.isnan(alone.mean_auc)
    assert math.isnan(alone.d_prime)
    assert alone.left_out == ("cat",)


def test_wrong_arguments_are_refused() -> None:
    rows = np.ones((2, 3)) / 3
    names = ("cat", "dog", "owl")
    with pytest.raises(InputError, match=r"labels lie in 0\.\.3, expected 0\.\.2"):
        classification_scores(rows, np.array([0, 3]), class_names=names)
    with pytest.raises(InputError, match="3 columns of probabilities, 2 class names"):
        classification_scores(rows, np.array([0, 1]), class_names=names[:2])
    with pytest.raises(InputError, match="not finite"):
        classification_scores(rows * math.nan, np.array([0, 1]), class_names=names)
    with pytest.raises(InputError, match="at least 1"):
        classification_scores(rows[:0], np.zeros(0, np.int64), class_names=names)
    with pytest.raises(InputError, match="needs a positive"):
        mean_average_precision(rows, np.zeros((2, 3), bool))
    with pytest.raises(InputError, match="positive and negative"):
        area_under_curve(rows[0], np.ones(3, bool))


def test_d_prime_is_the_published_one() -> None:
    # SpecVQGAN, supplement: mean AUC 95.70 and 96.66 of the two classifiers
    assert d_prime(0.9570) == pytest.approx(2.43, abs=0.005)
    assert d_prime(0.5) == pytest.approx(0, abs=1e-12)
    assert (d_prime(0.0), d_prime(1.0)) == (-math.inf, math.inf)
    with pytest.raises(InputError, match=r"in \[0, 1\], got 1.1"):
        d_prime(1.1)
