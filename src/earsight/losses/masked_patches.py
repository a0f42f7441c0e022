"""Losses on masked patches of a spectrogram: find the right one among those masked, rebuild it.

Source: Gong et al., "SSAST: self-supervised audio spectrogram transformer", 2022, sec. 2.3;
official repository YuanGongND/ssast.   Axes: b clips, n masked patches, v values of a patch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

REBUILD_WEIGHT = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchLoss:
    """Contrastive loss, and the share of predictions that found their patch."""

    loss: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class PretextLosses:
    """Both losses, the accuracy of the first, and what is minimised."""

    match: Float[Tensor, ""]
    rebuild: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    total: Float[Tensor, ""]


def match_loss(predicted: Float[Tensor, "b n v"], target: Float[Tensor, "b n v"]) -> MatchLoss:
    """Contrastive loss over the masked patches of one clip; targets carry no gradient.

    Differs from the paper, as the official code does: the softmax runs over predictions for one
    target, not over targets. The accuracy picks, for each prediction, the target that gives it the
    largest share.
    """
    with torch.autocast(predicted.device.type, enabled=False):
        scores = target.detach().float() @ predicted.float().mT  # (b, target, prediction)
    logarithms = functional.log_softmax(scores, dim=-1)
    loss = -logarithms.diagonal(dim1=1, dim2=2).mean()
    own = torch.arange(scores.shape[1], device=scores.device)
    found = scores.detach().softmax(dim=-1).argmax(dim=1) == own
    return MatchLoss(loss=loss, accuracy=found.float().mean())


def rebuild_loss(
    predicted: Float[Tensor, "b n v"], target: Float[Tensor, "b n v"]
) -> Float[Tensor, ""]:
    """Mean squared difference over all values of all masked patches."""
    return functional.mse_loss(predicted.float(), target.detach().float())


def pretext_losses(
    *,
    matched: Float[Tensor, "b n v"],
    match_target: Float[Tensor, "b n v"],
    rebuilt: Float[Tensor, "b k v"],
    rebuild_target: Float[Tensor, "b k v"],
    rebuild_weight: float = REBUILD_WEIGHT,
) -> PretextLosses:
    """Match loss plus `rebuild_weight` times rebuild loss."""
    match, rebuild = match_loss(matched, match_target), rebuild_loss(rebuilt, rebuild_target)
    return PretextLosses(
        match=match.loss,
        rebuild=rebuild,
        accuracy=match.accuracy,
        total=match.loss + rebuild_weight * rebuild,
    )
