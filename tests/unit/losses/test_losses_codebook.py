import pytest
import torch
from torch import Tensor

from earsight.errors import ConfigError
from earsight.losses.adversarial import (
    adaptive_weight,
    hinge_discriminator_loss,
    softplus_discriminator_loss,
)
from earsight.losses.codebook import (
    CodebookLossWeights,
    GeneratorLosses,
    discriminator_losses,
    generator_losses,
)


def losses(weights: CodebookLossWeights, *, step: int) -> GeneratorLosses:
    last = torch.tensor(1.0, requires_grad=True)
    mel = torch.zeros(1, 1, 4, 4)
    return generator_losses(
        mel,
        mel + last,
        torch.tensor(0.5),
        judge=lambda x: 2 * x,
        distance=lambda a, b: torch.full((1, 1, 1, 1), -0.25),
        last_layer=last,
        weights=weights,
        step=step,
    )


def test_terms_add_up_and_the_adversarial_one_waits() -> None:
    weights = CodebookLossWeights(discriminator_start=5, perceptual=2.0, codebook=3.0)
    before, after = losses(weights, step=4), losses(weights, step=5)
    assert before.reconstruction.item() == pytest.approx(1 - 0.5)
    assert before.total.item() == pytest.approx(0.5 + 1.5)
    assert after.adversarial.item() == pytest.approx(-2)
    assert after.total.item() == pytest.approx(0.5 + 1.5 + 0.8 * -2)


def test_the_adaptive_weight_is_the_ratio_of_gradients_within_its_bounds() -> None:
    free = CodebookLossWeights(
        discriminator_start=0, minimum_adaptive=0.0, maximum_adaptive=1e4, adversarial=1.0
    )
    assert losses(free, step=0).adversarial_weight.item() == pytest.approx(1 / 2.0001)
    x = torch.tensor(1.0, requires_grad=True)
    assert adaptive_weight(8 * x, x, last_layer=x, maximum=2.0).item() == 2.0


def test_without_gradients_the_adversarial_weight_is_zero() -> None:
    with torch.no_grad():
        out = losses(CodebookLossWeights(discriminator_start=0), step=0)
    assert out.adversarial_weight.item() == 0
    assert out.total.item() == pytest.approx(1 - 0.25 + 0.5)


def test_the_discriminators_step_does_not_reach_the_generator() -> None:
    scale = torch.tensor(1.0, requires_grad=True)
    rebuilt = torch.full((1, 1, 2, 2), -3.0) * scale
    offset = torch.tensor(0.0, requires_grad=True)

    def judge(x: Tensor) -> Tensor:
        return x + offset

    out = discriminator_losses(
        torch.full((1, 1, 2, 2), 0.5),
        rebuilt,
        judge=judge,
        weights=CodebookLossWeights(discriminator_start=0),
        step=0,
    )
    out.total.backward()
    assert scale.grad is None
    assert out.total.item() == pytest.approx(0.25)  # 0.5 * (relu(1 - 0.5) + relu(1 - 3))
    assert offset.grad is not None
    assert offset.grad.item() == pytest.approx(-0.5)


def test_softplus_and_hinge_by_hand() -> None:
    real, fake = torch.tensor([0.0]), torch.tensor([0.0])
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx(1.0)
    assert softplus_discriminator_loss(real, fake).item() == pytest.approx(0.693147, abs=1e-6)


def test_contradicting_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"minimum_adaptive \(2\.0\) is above"):
        CodebookLossWeights(minimum_adaptive=2.0)
