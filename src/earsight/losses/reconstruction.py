"""Squared difference of predicted and true patches over the masked ones.

Source: He et al., "Masked autoencoders are scalable vision learners", 2022, sec. 3; Audio-MAE,
sec. 3.2; official repository facebookresearch/AudioMAE.

Axes: b clips, n tokens, v values of a patch.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class PatchStatistics:
    """Mean and spread of every patch."""

    mean: Float[Tensor, "b n 1"]
    spread: Float[Tensor, "b n 1"]


def patch_statistics(patches: Float[Tensor, "b n v"]) -> PatchStatistics:
    """Mean and standard deviation (over one value less) of every patch."""
    patches = patches.float()
    variance = patches.var(dim=-1, keepdim=True)
    return PatchStatistics(patches.mean(dim=-1, keepdim=True), (variance + EPSILON).sqrt())


def reconstruction_loss(
    predicted: Float[Tensor, "b n v"],
    patches: Float[Tensor, "b n v"],
    masked: Bool[Tensor, "b n"],
    *,
    normalise: bool = True,
) -> Float[Tensor, ""]:
    """Mean over all masked patches of the batch of their mean squared difference.

    With `normalise` the target is each patch less its mean, over its spread.
    """
    target = patches.float()
    if normalise:
        own = patch_statistics(patches)
        target = (target - own.mean) / own.spread
    each = (predicted.float() - target).square().mean(dim=-1)  # (b, n)
    return (each * masked).sum() / masked.sum()
