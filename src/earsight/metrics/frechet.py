"""Frechet distance of two sets of features: FID, FD and FAD, by the network that made them.

Axes: n samples, d features.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from earsight.errors import InputError
from earsight.extras import require
from earsight.metrics.feature_checks import refuse_different_widths, refuse_unusable

RIDGE = 1e-6  # the published evaluator's; google-research's audio tool adds 1e-7
MAX_IMAGINARY = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Mean and covariance of `count` samples: all that the distance needs of a set."""

    mean: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    count: int


def moments(features: Float[np.ndarray, "n d"], *, name: str = "features") -> Moments:
    """Mean in the features' own precision, covariance over n - 1 in float64.

    Both as the official evaluator has them. `name` is what errors call the set. Raises InputError
    for less than 2 samples and for numbers that are not finite.
    """
    refuse_unusable(features, name=name, at_least=2)
    covariance = np.atleast_2d(np.cov(features.astype(np.float64), rowvar=False))
    return Moments(mean=features.mean(axis=0), covariance=covariance, count=len(features))


def frechet_distance(generated: Moments, real: Moments, *, ridge: float = RIDGE) -> float:
    """|m_f - m_r|^2 + tr(S_f + S_r - 2 (S_f S_r)^(1/2)).

    The root is that of the plain product. Where it is not finite, `ridge` is added to both
    diagonals. Raises InputError for sets of different widths, and where the root's diagonal has
    imaginary parts of 0.001 or more: the distance is then not defined by these samples.
    Source: Heusel et al., 2017; official repository v-iashin/SpecVQGAN, `evaluation/metrics`.
    """
    refuse_different_widths(generated.mean[None], real.mean[None])
    gap = generated.mean - real.mean
    root = _product_root(generated.covariance, real.covariance)
    if not np.isfinite(root).all():
        added = ridge * np.eye(len(gap))
        root = _product_root(generated.covariance + added, real.covariance + added)
    trace = np.trace(generated.covariance) + np.trace(real.covariance) - 2 * _real_trace(root)
    return float(gap @ gap + trace)


def _product_root(first: Float[np.ndarray, "d d"], second: Float[np.ndarray, "d d"]) -> Any:
    linalg = require("scipy.linalg", extra="evaluate", purpose="the Frechet distance")
    with warnings.catch_warnings():
        # singular products are what the ridge is for
        warnings.simplefilter("ignore")
        return linalg.sqrtm(first @ second)


def _real_trace(root: Any) -> float:
    if not np.isfinite(root).all():
        raise InputError("the covariances have no joint square root: give more and other samples")
    imaginary = float(np.abs(np.imag(np.diag(root))).max())
    if imaginary >= MAX_IMAGINARY:
        raise InputError(
            f"the covariances' joint square root is imaginary by {imaginary:.3g} (at most "
            f"{MAX_IMAGINARY} may be dropped): give more samples than features"
        )
    return float(np.real(np.diag(root)).sum())
