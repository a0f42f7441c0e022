"""Losses of generators against discriminators.

Logits are positive where the discriminator believes in real data; any shape.
Source: Lim and Ye, 2017 (hinge); Goodfellow et al., 2014 (softplus); Esser et al., 2021 (weight).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

DiscriminatorLoss = Literal["hinge", "softplus"]


def hinge_discriminator_loss(
    real: Float[Tensor, "*n"], fake: Float[Tensor, "*m"]
) -> Float[Tensor, ""]:
    """Half the sum of the mean hinges: zero when real > 1 and fake < -1."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def softplus_discriminator_loss(
    real: Float[Tensor, "*n"], fake: Float[Tensor, "*m"]
) -> Float[Tensor, ""]:
    """Half the sum of the binary cross-entropies of real and fake logits."""
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


def discriminator_loss(
    real: Float[Tensor, "*n"], fake: Float[Tensor, "*m"], *, kind: DiscriminatorLoss = "hinge"
) -> Float[Tensor, ""]:
    """The chosen discriminator loss."""
    match kind:
        case "hinge":
            return hinge_discriminator_loss(real, fake)
        case "softplus":
            return softplus_discriminator_loss(real, fake)


def generator_loss(fake: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """Minus the mean logit of generated data."""
    return -fake.mean()


def adaptive_weight(
    reconstruction: Float[Tensor, ""],
    adversarial: Float[Tensor, ""],
    *,
    last_layer: Tensor,
    minimum: float = 0.0,
    maximum: float = 1e4,
) -> Float[Tensor, ""]:
    """Ratio of the two losses' gradient norms at the generator's last layer, clamped.

    It carries no gradient; both losses' graphs are kept. Source: Esser et al., 2021, eq. 7.
    """
    (of_reconstruction,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (of_adversarial,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    length, other = (g.pow(2).sum().sqrt() for g in (of_reconstruction, of_adversarial))
    return (length / (other + 1e-4)).clamp(minimum, maximum).detach()
