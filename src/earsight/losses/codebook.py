"""Training losses of a spectrogram codebook model: generator step and discriminator step.

Axes: b clips, m mel bands, t frames.
Source: SpecVQGAN, sec. 3.1, eq. 2 and 3; official repository v-iashin/SpecVQGAN.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError
from earsight.losses.adversarial import (
    DiscriminatorLoss,
    adaptive_weight,
    discriminator_loss,
    generator_loss,
)

Judge = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodebookLossWeights:
    """Weights of the terms; the defaults are the published ones of the VGGSound codebook.

    The adversarial term counts from step `discriminator_start` on. Its weight is multiplied by a
    gradient ratio clamped to [`minimum_adaptive`, `maximum_adaptive`], which the published
    settings fix to 1.
    """

    perceptual: float = 1.0
    codebook: float = 1.0
    adversarial: float = 0.8
    discriminator_start: int = 30001
    minimum_adaptive: float = 1.0
    maximum_adaptive: float = 1.0
    discriminator_loss: DiscriminatorLoss = "hinge"

    def __post_init__(self) -> None:
        if self.minimum_adaptive > self.maximum_adaptive:
            raise ConfigError(
                f"minimum_adaptive ({self.minimum_adaptive}) is above maximum_adaptive "
                f"({self.maximum_adaptive})"
            )
        if min(self.perceptual, self.codebook, self.adversarial, self.discriminator_start) < 0:
            raise ConfigError("codebook loss weights and discriminator_start must not be negative")

    def adversarial_factor(self, step: int) -> float:
        """0 before `discriminator_start`, 1 from then on."""
        return float(step >= self.discriminator_start)


@dataclass(frozen=True, slots=True)
class GeneratorLosses:
    """`total` is what the generator step minimises; the rest are its parts, unweighted."""

    total: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    perceptual: Float[Tensor, ""]
    codebook: Float[Tensor, ""]
    adversarial: Float[Tensor, ""]
    adversarial_weight: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class DiscriminatorLosses:
    """`total` is what the discriminator step minimises, with the mean logits of both sides."""

    total: Float[Tensor, ""]
    real_logit: Float[Tensor, ""]
    fake_logit: Float[Tensor, ""]


def generator_losses(
    mel: Float[Tensor, "b 1 m t"],
    rebuilt: Float[Tensor, "b 1 m t"],
    codebook_loss: Float[Tensor, ""],
    *,
    judge: Judge,
    distance: Distance | None,
    last_layer: Tensor,
    weights: CodebookLossWeights,
    step: int,
) -> GeneratorLosses:
    """Losses of the autoencoder: L1 + perceptual + codebook + adversarial terms.

    `reconstruction` is L1 plus the weighted perceptual distance, which can be negative. Where
    gradients are off, or the adversarial weight is 0, the adversarial weight is 0, so the total
    has no such term. `distance` None leaves the perceptual term out.
    """
    perceptual = mel.new_zeros(()) if distance is None else distance(mel, rebuilt).mean()
    reconstruction = (mel - rebuilt).abs().mean() + weights.perceptual * perceptual
    zero = mel.new_zeros(())
    adversarial = zero if weights.adversarial == 0 else generator_loss(judge(rebuilt))
    weight = zero
    if torch.is_grad_enabled() and adversarial.requires_grad:
        weight = _adversarial_weight(reconstruction, adversarial, last_layer, weights)
    total = (
        reconstruction
        + weight * weights.adversarial_factor(step) * adversarial
        + weights.codebook * codebook_loss
    )
    return GeneratorLosses(total, reconstruction, perceptual, codebook_loss, adversarial, weight)


def discriminator_losses(
    mel: Float[Tensor, "b 1 m t"],
    rebuilt: Float[Tensor, "b 1 m t"],
    *,
    judge: Judge,
    weights: CodebookLossWeights,
    step: int,
) -> DiscriminatorLosses:
    """Losses of the discriminator, real and generated spectrograms in two passes.

    Inputs are detached, so that the step does not reach the generator.
    """
    real, fake = judge(mel.detach()), judge(rebuilt.detach())
    loss = discriminator_loss(real, fake, kind=weights.discriminator_loss)
    return DiscriminatorLosses(
        weights.adversarial_factor(step) * loss, real.mean().detach(), fake.mean().detach()
    )


def _adversarial_weight(
    reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor, weights: CodebookLossWeights
) -> Tensor:
    if weights.minimum_adaptive == weights.maximum_adaptive:  # two backward passes saved
        return adversarial.new_tensor(weights.adversarial * weights.minimum_adaptive)
    return weights.adversarial * adaptive_weight(
        reconstruction,
        adversarial,
        last_layer=last_layer,
        minimum=weights.minimum_adaptive,
        maximum=weights.maximum_adaptive,
    )
