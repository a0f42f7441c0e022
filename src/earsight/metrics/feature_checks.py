"""What every measure refuses: arrays that are no rows of finite numbers, or too few of them.

Axes: n samples, d features.
"""

import numpy as np
from jaxtyping import Float

from earsight.errors import InputError


def refuse_unusable(features: Float[np.ndarray, "n ..."], *, name: str, at_least: int = 1) -> None:
    """Raise InputError, naming the array, for too few rows or numbers that are not finite."""
    if features.shape[0] < at_least:
        raise InputError(
            f"{name}: {features.shape[0]} samples, at least {at_least} are needed: give more clips"
        )
    finite = np.isfinite(features.reshape(features.shape[0], -1))
    bad = np.logical_not(finite.all(axis=1))
    if bad.any():
        rows = ", ".join(str(row) for row in np.flatnonzero(bad)[:5])
        raise InputError(
            f"{name}: {int(bad.sum())} of {features.shape[0]} samples hold numbers that are not "
            f"finite (rows {rows}): leave these clips out or mend what made them"
        )


def refuse_different_widths(
    first: Float[np.ndarray, "n ..."], second: Float[np.ndarray, "m ..."]
) -> None:
    """Raise InputError where two sets come from different networks."""
    if first.shape[1:] != second.shape[1:]:
        raise InputError(
            f"features are {first.shape[1:]} in one set and {second.shape[1:]} in the other: "
            "take both from the same layer of the same network"
        )
