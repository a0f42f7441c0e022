"""Losses of a vocoder against discriminators at several scales.

`logits` holds one tensor per scale; `features` one tuple per scale, logits last.
Source: Kumar et al., 2019, sec. 2.3; official repository descriptinc/melgan-neurips.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Sum over scales of the mean hinges: zero when real > 1 and fake < -1."""
    parts = [
        functional.relu(1 + fake_logits).mean() + functional.relu(1 - real_logits).mean()
        for real_logits, fake_logits in zip(real, fake, strict=True)
    ]
    return torch.stack(parts).sum()


def adversarial_loss(fake: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Minus the mean logit of generated waves, summed over scales."""
    return -torch.stack([logits.mean() for logits in fake]).sum()


def feature_matching_loss(
    real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]
) -> Float[Tensor, ""]:
    """Mean absolute difference of the features, without the logits; the real side is detached.

    Weighted 4 / (layers - 2) per layer and averaged over scales, as published: `layers` counts
    all outputs of a scale, which is the official `n_layers` plus 3.
    """
    parts = [
        4 / (len(fake_scale) - 2) * functional.l1_loss(fake_layer, real_layer.detach())
        for real_scale, fake_scale in zip(real, fake, strict=True)
        for real_layer, fake_layer in zip(real_scale[:-1], fake_scale[:-1], strict=True)
    ]
    return torch.stack(parts).sum() / len(fake)
