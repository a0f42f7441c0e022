"""Inception score (ISC, IS): sure about each sample, varied over all.   Axes: n samples, c classes.

Source: Salimans et al., 2016; official repository v-iashin/SpecVQGAN, `evaluation/metrics`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.errors import InputError
from earsight.metrics.feature_checks import refuse_unusable
from earsight.metrics.softmax import log_softmax


@dataclass(frozen=True, kw_only=True, slots=True)
class InceptionScore:
    """Mean and population standard deviation over splits; 1 to the number of classes."""

    mean: float
    std: float


def inception_score(
    scores: Float[np.ndarray, "n c"], *, num_splits: int = 10, shuffle_seed: int | None = 2020
) -> InceptionScore:
    """exp of the mean divergence of each sample's classes from those of its split.

    `scores` are before the softmax: SpecVQGAN takes its classifier's without the bias, av-benchmark
    and audioldm_eval those with it. `shuffle_seed` None leaves the order as it is. Raises
    InputError for fewer samples than splits and for numbers that are not finite.
    """
    if num_splits < 1:
        raise InputError(f"expected 1 split or more, got {num_splits}")
    refuse_unusable(scores, name="scores", at_least=num_splits)
    count = len(scores)
    if shuffle_seed is not None:
        # the published order needs this very generator
        scores = scores[np.random.RandomState(shuffle_seed).permutation(count)]
    logarithms = log_softmax(scores)
    parts = [
        _split_score(logarithms[count * i // num_splits : count * (i + 1) // num_splits])
        for i in range(num_splits)
    ]
    return InceptionScore(mean=float(np.mean(parts)), std=float(np.std(parts)))


def _split_score(logarithms: Float[np.ndarray, "n c"]) -> float:
    probabilities = np.exp(logarithms)
    together = probabilities.mean(axis=0, keepdims=True)
    # where a class never occurs, its probability of 0 takes the logarithm along
    gap = logarithms - np.log(np.maximum(together, np.finfo(np.float64).tiny))
    return float(np.exp((probabilities * gap).sum(axis=1).mean()))
