"""Cross-entropy of one class a clip.   Axes: b clips, c classes."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, InputError

ClassWeights = Literal["none", "inverse"]


def class_weights(counts: Int[Tensor, " c"], kind: ClassWeights) -> Float[Tensor, " c"]:
    """Weight of each class in the loss: 1, or one over its number of training clips.

    Inverse weights are scaled to a mean of 1 over the classes that occur; a class that does not
    occur has weight 0. Raises InputError where no class occurs.
    Source: official repository v-iashin/SpecVQGAN, `cls_weights_in_loss`; the scale cancels out.
    """
    if kind == "none":
        return torch.ones(len(counts))
    present = counts > 0
    if not bool(present.any()):
        raise InputError("no clip has a class: there is nothing to weigh")
    weights = torch.where(present, 1 / counts.clamp(min=1), torch.zeros(len(counts)))
    return weights / weights[present].mean()


def classification_loss(
    scores: Float[Tensor, "b c"],
    labels: Int[Tensor, " b"],
    *,
    weights: Float[Tensor, " c"] | None = None,
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """sum(w * cross-entropy) / sum(w), the published form; plain mean without weights.

    `smoothing` takes that share of the target away from the class and spreads it over all.
    Raises ConfigError for a share outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ConfigError(f"label smoothing must lie in [0, 1), got {smoothing}")
    logarithms = functional.log_softmax(scores.float(), dim=1)
    own = -logarithms.gather(1, labels[:, None])[:, 0]
    costs = (1 - smoothing) * own - smoothing * logarithms.mean(dim=1)
    if weights is None:
        return costs.mean()
    chosen = weights.to(costs)[labels]
    return (chosen * costs).sum() / chosen.sum()
