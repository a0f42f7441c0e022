"""Losses of clips with any number of classes, on probabilities.   Axes: b clips, c classes."""

from jaxtyping import Float
from torch import Tensor

TINY = 1e-8


def asymmetric_loss(
    probabilities: Float[Tensor, "b c"],
    targets: Float[Tensor, "b c"],
    *,
    gamma_absent: float = 4.0,
    gamma_present: float = 0.0,
    margin: float = 0.05,
) -> Float[Tensor, ""]:
    """Cross-entropy in which classes that are absent and known to be so count little; a mean.

    An absent class's probability is lowered by `margin` first. The focusing factors carry no
    gradient. Source: Ridnik et al., "Asymmetric loss for multi-label classification", 2021;
    strengths as in the official repository RetroCirce/HTS-Audio-Transformer.
    """
    absent = (1 - probabilities + margin).clamp(max=1)
    gain = targets * probabilities.clamp(min=TINY).log()
    gain = gain + (1 - targets) * absent.clamp(min=TINY).log()
    right = (targets * probabilities + (1 - targets) * absent).detach()
    gamma = targets * gamma_present + (1 - targets) * gamma_absent
    return -(gain * (1 - right) ** gamma).mean()
