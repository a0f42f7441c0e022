"""Scores of a tagger with standard errors, of all classes and of each.

Axes: n clips, k classes, r resamples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from earsight.errors import InputError
from earsight.evaluate.card import Score
from earsight.metrics.classification import area_under_curve, average_precision, d_prime
from earsight.metrics.resampling import bootstrap_counts, resampled_curves

ByClass = Mapping[str, Mapping[str, Mapping[str, Score]]]
"""Class, then system, then measure."""
MEASURES: Mapping[str, str] = {
    "mean_average_precision": "mean over classes of average precision",
    "mean_area": "mean over classes of the area under the ROC curve",
    "d_prime": "distance of two unit normals with that mean area",
    "accuracy": "share of clips whose most probable class is one of theirs",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TagScores:
    """What a tagger is judged by.

    `without_curve` names the classes that no clip has, or every clip: they are left out of the
    means over classes. Rows of `confusion` are true classes, columns the most probable ones, over
    the clips with one class; None where there is none.
    """

    scores: Mapping[str, Score]
    by_class: ByClass
    confusion: Int[np.ndarray, "k k"] | None
    without_curve: tuple[str, ...]
    num_clips: int


def tag_scores(
    probabilities: Float[np.ndarray, "n k"],
    targets: Bool[np.ndarray, "n k"],
    *,
    class_names: Sequence[str],
    system: str = "model",
    num_resamples: int = 200,
    seed: int = 0,
) -> TagScores:
    """Scores of clips that have at least one class each; spreads are by a bootstrap over clips.

    Raises InputError for probabilities that are not finite, and a clip without a class.
    Source: Gong et al., "AST: audio spectrogram transformer", 2021, sec. 3; official repository
    YuanGongND/ast, which computes the same scores.
    """
    if not np.isfinite(probabilities).all():
        raise InputError("probabilities must be finite: the network gave NaN or infinity")
    if not targets.any(axis=1).all():
        raise InputError("every clip must have a class: leave the others out")
    rng = np.random.default_rng(seed)
    counts = bootstrap_counts(len(targets), num_resamples=num_resamples, rng=rng)
    hits = tag_hits(probabilities, targets)
    by_class: dict[str, Mapping[str, Mapping[str, Score]]] = {}
    precision, area = _Curves(), _Curves()
    without: list[str] = []
    for index, name in enumerate(class_names):
        column, own = probabilities[:, index], targets[:, index]
        found = {"recall": _recall(hits, own)}
        if own.any() and not own.all():
            precisions, areas = resampled_curves(column, own, counts)
            found["average_precision"] = precision.add(average_precision(column, own), precisions)
            found["area"] = area.add(area_under_curve(column, own), areas)
        else:
            without.append(name)
        if own.any():
            by_class[name] = {system: found}
    values = {
        "mean_average_precision": precision.mean(),
        "mean_area": area.mean(),
        "d_prime": _d_prime(*area.mean()),
        "accuracy": (float(hits.mean()), counts @ hits / len(hits)),
    }
    return TagScores(
        scores={
            name: _score(*value, what=MEASURES[name], num_items=len(targets))
            for name, value in values.items()
        },
        by_class=by_class,
        confusion=confusion(probabilities, targets),
        without_curve=tuple(without),
        num_clips=len(targets),
    )


def tag_hits(
    probabilities: Float[np.ndarray, "n k"], targets: Bool[np.ndarray, "n k"]
) -> Bool[np.ndarray, " n"]:
    """Whether a class of the clip's own is above all others; a tie counts against the tagger."""
    own = np.where(targets, probabilities, -np.inf).max(axis=1)
    others = np.where(targets, -np.inf, probabilities).max(axis=1)
    return own > others


def confusion(
    probabilities: Float[np.ndarray, "n k"], targets: Bool[np.ndarray, "n k"]
) -> Int[np.ndarray, "k k"] | None:
    """Clips of each class (rows) by their most probable one, where they have one class alone."""
    single = targets.sum(axis=1) == 1
    if not single.any():
        return None
    table = np.zeros((targets.shape[1],) * 2, dtype=np.int64)
    np.add.at(table, (targets[single].argmax(axis=1), probabilities[single].argmax(axis=1)), 1)
    return table


class _Curves:
    """One kind of score of the classes so far, with their resamples."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._sums: np.ndarray | float = 0.0
        self._present: np.ndarray | float = 0.0

    def add(self, value: float, resampled: Float[np.ndarray, " r"]) -> Score:
        """Take in a class; returns its own score."""
        self._values.append(value)
        there = np.isfinite(resampled)
        self._present = self._present + there
        self._sums = self._sums + np.where(there, resampled, 0.0)
        return _score(value, resampled[there], what="", num_items=None)

    def mean(self) -> tuple[float, Float[np.ndarray, " r"]]:
        """Mean over classes, and that of every resample over the classes it has."""
        if not self._values:
            return math.nan, np.empty(0)
        resampled = np.atleast_1d(self._sums) / np.maximum(np.atleast_1d(self._present), 1)
        return float(np.mean(self._values)), resampled


def _recall(hits: Bool[np.ndarray, " n"], own: Bool[np.ndarray, " n"]) -> Score:
    number = int(own.sum())
    if not number:
        return Score(value=None, what="no clip")
    share = float(hits[own].mean())
    spread = math.sqrt(share * (1 - share) / (number - 1)) if number > 1 else None
    return Score(value=share, what="", spread=spread, num_items=number)


def _d_prime(
    area: float, resampled: Float[np.ndarray, " r"]
) -> tuple[float, Float[np.ndarray, " r"]]:
    return d_prime(area), np.array([d_prime(float(value)) for value in resampled])


def _score(
    value: float, resampled: Float[np.ndarray, " r"], *, what: str, num_items: int | None
) -> Score:
    if not math.isfinite(value):
        why = "no class has clips and others have not" if math.isnan(value) else "no mistake at all"
        return Score(value=None, what=f"{what}: not finite, {why}", better="more")
    known = len(resampled) > 1 and bool(np.isfinite(resampled).all())
    spread = float(np.std(resampled, ddof=1)) if known else None
    return Score(value=value, what=what, spread=spread, better="more", num_items=num_items)
