"""What several measurements of one thing say: folds of a cross-validation, seeds of a training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from earsight.errors import InputError

T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5 % quantiles of Student's t distribution for 1 to 30 degrees of freedom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """Mean of measurements, its standard error, and where the mean lies with 95 % confidence.

    With one measurement there is no error: `standard_error` and `interval_95` are None.
    """

    mean: float
    standard_error: float | None
    interval_95: tuple[float, float] | None
    num_measured: int


def repeated(values: Sequence[float]) -> Repeated:
    """Mean and error by Student's t distribution, measurements taken as independent.

    Folds share training clips, so across folds the true error is somewhat larger. Raises
    InputError for no values and for such that are not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise InputError(f"expected finite measurements, got {list(values)}")
    mean, count = fmean(values), len(values)
    if count == 1:
        return Repeated(mean=mean, standard_error=None, interval_95=None, num_measured=1)
    error = stdev(values) / math.sqrt(count)
    factor = T_975[count - 2] if count - 1 <= len(T_975) else NormalDist().inv_cdf(0.975)
    return Repeated(
        mean=mean,
        standard_error=error,
        interval_95=(mean - factor * error, mean + factor * error),
        num_measured=count,
    )
