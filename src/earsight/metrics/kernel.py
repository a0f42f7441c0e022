"""Kernel distance of two sets of features (KID), over random subsets.

Axes: n, k samples, d, e features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.errors import ConfigError
from earsight.metrics.feature_checks import refuse_different_widths, refuse_unusable


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelConfig:
    """The kernel (gamma x.y + offset)^degree, and the draws; the defaults are the published ones.

    `gamma` None is one over the number of features. A `subset_size` beyond the smaller set is cut
    to it.
    """

    num_subsets: int = 100
    subset_size: int = 1000
    degree: int = 3
    gamma: float | None = None
    offset: float = 1.0
    seed: int = 2020

    def __post_init__(self) -> None:
        """Refuse draws of nothing."""
        if self.num_subsets < 1 or self.subset_size < 2:
            raise ConfigError(
                f"num_subsets ({self.num_subsets}) must be 1 or more and subset_size "
                f"({self.subset_size}) 2 or more"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelDistance:
    """Mean and population standard deviation over subsets of `subset_size` samples."""

    mean: float
    std: float
    subset_size: int


def kernel_distance(
    generated: Float[np.ndarray, "n d"],
    real: Float[np.ndarray, "k e"],
    config: KernelConfig | None = None,
) -> KernelDistance:
    """Unbiased squared maximum mean discrepancy; near 0 for equal sets, and at times below it.

    One generator draws every subset without replacement, the generated one first. Raises InputError
    for sets of less than 2 samples, of different widths or with numbers that are not finite.
    Source: Binkowski et al., 2018; official repository v-iashin/SpecVQGAN, `evaluation/metrics`.
    """
    config = config or KernelConfig()
    refuse_unusable(generated, name="generated", at_least=2)
    refuse_unusable(real, name="real", at_least=2)
    refuse_different_widths(generated, real)
    size = min(config.subset_size, len(generated), len(real))
    draws = np.random.RandomState(config.seed)  # the published draws need this very generator
    distances: list[float] = []
    for _ in range(config.num_subsets):
        first = generated[draws.choice(len(generated), size, replace=False)]
        second = real[draws.choice(len(real), size, replace=False)]
        distances.append(_discrepancy(first, second, config))
    return KernelDistance(
        mean=float(np.mean(distances)), std=float(np.std(distances)), subset_size=size
    )


def _discrepancy(
    first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"], config: KernelConfig
) -> float:
    size = len(first)
    same = sum(_off_diagonal_sum(_kernel(part, part, config)) for part in (first, second))
    between = float(_kernel(first, second, config).mean())
    return same / (size * (size - 1)) - 2 * between


def _kernel(
    x: Float[np.ndarray, "k d"], y: Float[np.ndarray, "k d"], config: KernelConfig
) -> Float[np.ndarray, "k k"]:
    gamma = 1 / x.shape[1] if config.gamma is None else config.gamma
    product = x.astype(np.float64) @ y.astype(np.float64).T
    return (product * gamma + config.offset) ** config.degree


def _off_diagonal_sum(kernel: Float[np.ndarray, "k k"]) -> float:
    return float(kernel.sum() - np.trace(kernel))
