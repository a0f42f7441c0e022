"""Cross-entropy with weights and smoothing, against worked cases and torch."""

import math

import pytest
import torch
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.losses.classify import class_weights, classification_loss


def test_worked_by_hand() -> None:
    scores = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    labels = torch.tensor([0, 1])
    assert float(classification_loss(scores, labels)) == pytest.approx(
        (math.log(2) + math.log(4)) / 2, abs=1e-6
    )
    weights = torch.tensor([3.0, 1.0])
    assert float(classification_loss(scores, labels, weights=weights)) == pytest.approx(
        (3 * math.log(2) + math.log(4)) / 4, abs=1e-6
    )
    smooth = 0.8 * math.log(2) + 0.2 * math.log(2)
    assert float(classification_loss(scores[:1], labels[:1], smoothing=0.2)) == pytest.approx(
        smooth, abs=1e-6
    )


def test_smoothing_is_torchs() -> None:
    scores, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    expected = functional.cross_entropy(scores, labels, label_smoothing=0.3)
    torch.testing.assert_close(
        classification_loss(scores, labels, smoothing=0.3), expected, atol=1e-6, rtol=0
    )
    with pytest.raises(ConfigError, match=r"in \[0, 1\), got 1.0"):
        classification_loss(scores, labels, smoothing=1.0)


def test_rare_classes_weigh_more_and_absent_ones_nothing() -> None:
    counts = torch.tensor([1, 3, 0])
    assert class_weights(counts, "inverse").tolist() == pytest.approx([1.5, 0.5, 0.0])
    assert class_weights(counts, "none").tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="no clip has a class"):
        class_weights(torch.zeros(2, dtype=torch.int64), "inverse")
