"""Scores of classifiers: top-k, average precision, area under the curve, d prime.

Classes without a positive (or a negative) have no curve: they are left out of means and named.

Axes: n clips, c classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int

from earsight.errors import InputError
from earsight.metrics.feature_checks import refuse_unusable


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationScores:
    """What a classifier is judged by; fractions, not percent.

    `left_out` names the classes without a positive or without a negative among the clips: they are
    in top-1 and top-5 alone. Means are NaN where every class is left out.
    """

    top_1: float
    top_5: float
    mean_average_precision: float
    mean_auc: float
    d_prime: float
    num_clips: int
    left_out: tuple[str, ...]


def classification_scores(
    probabilities: Float[np.ndarray, "n c"],
    labels: Int[np.ndarray, " n"],
    *,
    class_names: Sequence[str],
) -> ClassificationScores:
    """Scores of one label a clip, every class against the rest.

    Raises InputError for no clips, labels outside the classes, names of another number.
    Source: SpecVQGAN, supplement; official repository v-iashin/SpecVQGAN, whose classifiers are
    judged on softmax probabilities.
    """
    refuse_unusable(probabilities, name="probabilities")
    num_classes = int(probabilities.shape[1])
    if len(class_names) != num_classes:
        raise InputError(f"{num_classes} columns of probabilities, {len(class_names)} class names")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"labels lie in {labels.min()}..{labels.max()}, expected 0..{num_classes - 1}"
        )
    targets = np.asarray(np.equal.outer(labels, np.arange(num_classes)), dtype=bool)
    counts = targets.sum(axis=0)
    judged = np.flatnonzero((counts > 0) & (counts < len(labels)))
    mean_auc = mean_area(probabilities[:, judged], targets[:, judged])
    return ClassificationScores(
        top_1=top_k_accuracy(probabilities, labels, k=1),
        top_5=top_k_accuracy(probabilities, labels, k=5),
        mean_average_precision=mean_average_precision(probabilities[:, judged], targets[:, judged]),
        mean_auc=mean_auc,
        d_prime=d_prime(mean_auc),
        num_clips=len(labels),
        left_out=tuple(name for i, name in enumerate(class_names) if i not in judged),
    )


def top_k_accuracy(
    scores: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"], *, k: int
) -> float:
    """Share of clips with less than `k` other classes at or above the score of their own.

    A tie counts against the classifier, so equal scores everywhere are no success.
    """
    refuse_unusable(scores, name="scores")
    own = scores[np.arange(len(labels)), labels]
    rivals = (scores >= own[:, None]).sum(axis=1) - 1
    return float((rivals < k).mean())


def average_precision(scores: Float[np.ndarray, " n"], positives: Bool[np.ndarray, " n"]) -> float:
    """Sum over thresholds of precision times the gain in recall; clips of one score move together.

    Raises InputError without a positive.
    """
    if not positives.any():
        raise InputError("average precision needs a positive clip: leave the class out")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positives[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # the last clip of each threshold
    hits, found = hits[last], (np.flatnonzero(last) + 1)
    gains = np.diff(hits, prepend=0) / hits[-1]
    return float((gains * hits / found).sum())


def area_under_curve(scores: Float[np.ndarray, " n"], positives: Bool[np.ndarray, " n"]) -> float:
    """Chance that a positive clip scores above a negative one; ties count half.

    Raises InputError without a positive or without a negative.
    """
    num_positive = int(positives.sum())
    num_negative = len(positives) - num_positive
    if not num_positive or not num_negative:
        raise InputError("the area under the curve needs positive and negative clips")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # mean rank of equal scores, from 1
    won = float(ranks[positives].sum()) - num_positive * (num_positive + 1) / 2
    return won / (num_positive * num_negative)


def mean_average_precision(
    scores: Float[np.ndarray, "n c"], targets: Bool[np.ndarray, "n c"]
) -> float:
    """Mean over classes; NaN for no class. Clips may have several classes or none."""
    refuse_unusable(scores, name="scores")
    columns = zip(scores.T, targets.T, strict=True)
    values = [average_precision(column, positives) for column, positives in columns]
    return float(np.mean(values)) if values else math.nan


def mean_area(scores: Float[np.ndarray, "n c"], targets: Bool[np.ndarray, "n c"]) -> float:
    """Mean over classes of the area under the curve; NaN for no class."""
    refuse_unusable(scores, name="scores")
    columns = zip(scores.T, targets.T, strict=True)
    values = [area_under_curve(column, positives) for column, positives in columns]
    return float(np.mean(values)) if values else math.nan


def d_prime(area: float) -> float:
    """Distance of two unit normals whose curve has this area: sqrt(2) times the normal quantile.

    Infinite for areas of 0 and 1, NaN for NaN. Raises InputError outside [0, 1].
    """
    if math.isnan(area):
        return math.nan
    if not 0 <= area <= 1:
        raise InputError(f"an area under the curve lies in [0, 1], got {area}")
    if area in (0, 1):
        return math.copysign(math.inf, area - 0.5)
    return math.sqrt(2) * NormalDist().inv_cdf(area)
