"""Scores of a tagger on cases small enough to know."""

import numpy as np
import pytest

from earsight.errors import InputError
from earsight.evaluate.tagger_scores import tag_hits, tag_scores

NAMES = ("bell", "rain", "engine")


def test_scores_of_four_clips_by_hand() -> None:
    probabilities = np.array([[0.9, 0.2, 0.1], [0.8, 0.7, 0.3], [0.1, 0.6, 0.2], [0.3, 0.5, 0.4]])
    targets = np.zeros((4, 3), dtype=bool)
    targets[[0, 1, 2, 3], [0, 1, 1, 0]] = True
    found = tag_scores(probabilities, targets, class_names=NAMES, num_resamples=50)
    # bell: hits at ranks 1 and 3; rain: at ranks 1 and 2; nobody has an engine
    bell, rain = (1 + 2 / 3) / 2, 1.0
    assert found.scores["mean_average_precision"].value == pytest.approx((bell + rain) / 2)
    assert found.scores["mean_area"].value == pytest.approx((3 / 4 + 1) / 2)
    assert found.scores["accuracy"].value == 0.5
    assert found.scores["accuracy"].spread == pytest.approx(0.25, abs=0.08)
    assert found.without_curve == ("engine",)
    assert set(found.by_class) == {"bell", "rain"}
    assert found.by_class["rain"]["model"]["recall"].value == 0.5
    assert found.confusion is not None
    assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_clips_with_several_classes_and_ties() -> None:
    probabilities = np.array([[0.5, 0.9, 0.8], [0.5, 0.5, 0.1], [0.6, 0.5, 0.1]])
    targets = np.array([[True, True, False], [True, False, False], [False, True, True]])
    assert tag_hits(probabilities, targets).tolist() == [True, False, False]
    assert tag_scores(probabilities, targets, class_names=NAMES).confusion is not None
    with pytest.raises(InputError, match="must have a class"):
        tag_scores(probabilities, ~targets & False, class_names=NAMES)


def test_no_mistake_leaves_d_prime_without_a_number() -> None:
    targets = np.eye(3, dtype=bool).repeat(2, axis=0)
    found = tag_scores(targets.astype(float), targets, class_names=NAMES)
    assert found.scores["d_prime"].value is None
    assert "no mistake" in found.scores["d_prime"].what
    assert found.scores["mean_average_precision"].value == 1.0
