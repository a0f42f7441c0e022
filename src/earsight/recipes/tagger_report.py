"""How a tagger is judged while it is trained and at its end.

Axes: n and b clips, w windows of a clip, k classes.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.metrics.classification import mean_average_precision
from earsight.recipes.classifier_report import HeldOutReport, held_out_report
from earsight.recipes.tagger_clips import TaggedClips, TaggerData, TagLoss, tag_loss
from earsight.training.distributed import World

JudgedBy = Literal["mean_average_precision", "accuracy"]
Judge = Callable[[TaggedClips, list[int]], Tensor]
"""Scores before any sigmoid or softmax of some clips of a split."""


@torch.no_grad()
def all_scores(
    judge: Judge, clips: TaggedClips, *, batch: int, world: World
) -> Float[Tensor, "n k"]:
    """Scores of all clips of a split on the CPU; processes share the clips, and all get all.

    The last clip is judged more than once where clips do not divide evenly.
    """
    num_each = -(-len(clips) // world.size)
    own = [min(world.rank + world.size * i, len(clips) - 1) for i in range(num_each)]
    parts = [judge(clips, own[first : first + batch]) for first in range(0, num_each, batch)]
    joined = world.gather(torch.cat(parts).float().to(world.device))
    in_order = joined.reshape(world.size, num_each, -1).transpose(0, 1).flatten(0, 1)
    return in_order[: len(clips)].cpu()


def valid_readings(
    scores: Float[Tensor, "n k"], clips: TaggedClips, *, kind: TagLoss
) -> dict[str, float]:
    """Plain loss, mAP, and how often the highest score is that of a class of the clip.

    mAP leaves classes out that no clip has, or every clip, and is NaN without any other.
    """
    best = scores.argmax(dim=1, keepdim=True)
    return {
        "valid_loss": float(tag_loss(scores, clips.targets, kind=kind)),
        "valid_mean_average_precision": tags_precision(scores, clips, kind=kind),
        "valid_accuracy": float(clips.targets.gather(1, best).mean()),
    }


def probabilities_of(scores: Float[Tensor, "n k"], *, kind: TagLoss) -> Float[Tensor, "n k"]:
    """Class probabilities as the loss means them."""
    return scores.sigmoid() if kind == "binary" else scores.softmax(dim=1)


def joined_windows(logits: Float[Tensor, "b w k"], *, kind: TagLoss) -> Float[Tensor, "b k"]:
    """Scores whose probabilities are the mean of those of a clip's windows."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    if kind == "softmax":
        return logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(logits.shape[1])
    found = logits.double().sigmoid().mean(dim=1)
    return found.logit(eps=1e-12).float()


def tags_precision(scores: Float[Tensor, "n k"], clips: TaggedClips, *, kind: TagLoss) -> float:
    """mAP where a clip may have many classes; NaN where no class can be judged.

    Clips are ranked by probabilities: a softmax ranks them otherwise than its scores do.
    """
    present = clips.targets.numpy() > 0
    counts = present.sum(axis=0)
    judged = np.flatnonzero((counts > 0) & (counts < len(clips)))
    if not len(judged):
        return math.nan
    found = probabilities_of(scores.double(), kind=kind)
    return mean_average_precision(found.numpy()[:, judged], present[:, judged])


def judged_on_test(
    scores: Float[Tensor, "n k"], data: TaggerData, *, kind: TagLoss
) -> HeldOutReport:
    """Scores by each test clip's one class; `tags_precision` is that of all its classes."""
    return held_out_report(
        probabilities_of(scores.double(), kind=kind).numpy(),
        np.array(data.test.labels, dtype=np.int64),
        class_names=data.class_names,
        owners=data.test.owners,
        split=data.test.split,
    )
