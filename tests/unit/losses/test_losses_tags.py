"""The asymmetric loss, by hand."""

import math

import pytest
import torch
from torch.nn import functional

from earsight.losses.tags import asymmetric_loss


def test_absent_classes_are_moved_and_focused() -> None:
    probabilities = torch.tensor([[0.8, 0.25, 0.04]])
    targets = torch.tensor([[1.0, 0.0, 0.0]])
    # 0.25 counts as 0.2; 0.04 lies below the margin and costs nothing
    expected = -(math.log(0.8) + 0.2**4 * math.log(0.8)) / 3
    assert float(asymmetric_loss(probabilities, targets)) == pytest.approx(expected, abs=1e-6)


def test_without_its_strengths_it_is_binary_cross_entropy() -> None:
    rng = torch.Generator().manual_seed(0)
    probabilities = torch.rand(4, 6, generator=rng)
    targets = (torch.rand(4, 6, generator=rng) > 0.5).float()
    plain = asymmetric_loss(probabilities, targets, gamma_absent=0.0, margin=0.0)
    expected = functional.binary_cross_entropy(probabilities, targets)
    torch.testing.assert_close(plain, expected, atol=1e-6, rtol=0)


def test_the_focus_carries_no_gradient() -> None:
    probabilities = torch.tensor([[0.25]], requires_grad=True)
    asymmetric_loss(probabilities, torch.zeros(1, 1)).backward()
    # d/dp of -0.2^4 log(1 - p + 0.05) with the factor held fixed
    assert probabilities.grad is not None
    assert float(probabilities.grad) == pytest.approx(0.2**4 / 0.8, rel=1e-4)
