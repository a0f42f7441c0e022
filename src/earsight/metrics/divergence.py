"""Divergence of the classes heard in generated sounds from those heard in real ones, by tool.

Tools differ in epsilon, direction and squashing, so every number is named after its tool and never
compared with another's. Scores are before softmax or sigmoid, rows of the two arrays belong
together (other numbers of rows are refused), results are in nats and 0 where both are equal (with
an epsilon: within it).

Axes: n, k videos, s samples of a video, c, d classes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.errors import InputError
from earsight.metrics.feature_checks import refuse_different_widths, refuse_unusable
from earsight.metrics.softmax import log_sigmoid, log_softmax

EPSILON = 1e-6
Squash = Literal["softmax", "sigmoid"]


def mkl(real: Float[np.ndarray, "n c"], generated: Float[np.ndarray, "k s d"]) -> float:
    """SpecVQGAN's MKL: every sample against its own video, averaged over all samples.

    sum p_r (ln p_r - ln(p_f + 1e-6)) on Melception's scores with bias. Raises InputError for sets
    that do not pair up. Source: SpecVQGAN, sec. 4.1; official repository, `evaluation/metrics`.
    """
    if generated.shape[1] == 0:
        raise InputError("0 samples of a video were given: at least 1 is needed")
    _refuse_unpaired(real, generated[:, 0])
    repeated = np.repeat(real, generated.shape[1], axis=0)
    return _divergence(repeated, generated.reshape(-1, real.shape[1]), "softmax", EPSILON)


def audioldm_kl(
    real: Float[np.ndarray, "n c"],
    generated: Float[np.ndarray, "k d"],
    *,
    squash: Squash = "softmax",
) -> float:
    """audioldm_eval's KL on CNN14's scores, with the epsilon of MKL.

    With the sigmoid, classes are summed without their complements, so it may be negative.
    Source: official repository haoheliu/audioldm_eval.
    """
    _refuse_unpaired(real, generated)
    return _divergence(real, generated, squash, EPSILON)


def av_benchmark_kl(
    real: Float[np.ndarray, "n c"],
    generated: Float[np.ndarray, "k d"],
    *,
    squash: Squash = "softmax",
) -> float:
    """av-benchmark's KL on CNN14's or PaSST's scores, without any epsilon.

    With the sigmoid, classes are summed without their complements, so it may be negative.
    Source: official repository hkchengrex/av-benchmark.
    """
    _refuse_unpaired(real, generated)
    return _divergence(real, generated, squash, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class AudiocraftKLD:
    """AudioCraft's KLD: `real_generated` is the published one, `both` the sum of the two."""

    real_generated: float
    generated_real: float

    @property
    def both(self) -> float:
        """Sum of the two directions."""
        return self.real_generated + self.generated_real


def audiocraft_kld(
    real: Float[np.ndarray, "n c"], generated: Float[np.ndarray, "k d"]
) -> AudiocraftKLD:
    """AudioCraft's KLD on PaSST's scores of 10 s pieces, epsilon in the second distribution's log.

    Source: official repository facebookresearch/audiocraft, `metrics/kld.py`.
    """
    _refuse_unpaired(real, generated)
    return AudiocraftKLD(
        real_generated=_divergence(real, generated, "softmax", EPSILON),
        generated_real=_divergence(generated, real, "softmax", EPSILON),
    )


def _divergence(
    first: Float[np.ndarray, "n c"],
    second: Float[np.ndarray, "n c"],
    squash: Squash,
    epsilon: float,
) -> float:
    """Mean over pairs of sum p_1 (ln p_1 - ln(p_2 + epsilon))."""
    logarithm = log_softmax if squash == "softmax" else log_sigmoid
    log_first, log_second = logarithm(first), logarithm(second)
    if epsilon:
        log_second = np.log(np.exp(log_second) + epsilon)
    return float((np.exp(log_first) * (log_first - log_second)).sum(axis=1).mean())


def _refuse_unpaired(real: Float[np.ndarray, "n c"], generated: Float[np.ndarray, "k d"]) -> None:
    refuse_unusable(real, name="real")
    refuse_unusable(generated, name="generated")
    refuse_different_widths(real, generated)
    if len(real) != len(generated):
        raise InputError(
            f"{len(real)} real and {len(generated)} generated rows: rows must belong together"
        )
