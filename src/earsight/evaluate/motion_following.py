"""Does the loudness of the result follow the motion track?

Tracks of held-out sounds go through the generator, and the loudness of what comes out is compared
with the track's energy, slot by slot at 21.5 a second. The control is the same model given the
track of another window: whatever loudness curve it likes to make on its own, that correlation
shows.

Axes: w windows, b windows of a batch, c code columns, n slots, m mel bands, t frames.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from earsight.data.motion_pairs import strength
from earsight.errors import InputError
from earsight.frontends.motion import FRAMES_PER_COLUMN

Generate = Callable[[Float[Tensor, "b c 8"], Int[Tensor, " b"]], Float[Tensor, "b m t"]]
"""Features and classes to spectrograms in [0, 1]."""

MAX_LAG_SLOTS = 2  # 93 ms either way


@dataclass(frozen=True, slots=True)
class Following:
    """Mean Pearson correlation over windows and its standard error."""

    correlation: float
    standard_error: float
    num_windows: int


@dataclass(frozen=True, slots=True)
class MotionFollowing:
    """Scores with the own track and with another's, and what comes out without any motion.

    `still_strength` and `own_strength` are mean loudness in [0, 1] (a tenth is 60 dB under full)
    for a track of zeros and for the own tracks. `num_left_out` windows have a track or a result
    without any change, whose correlation is not defined.
    """

    own: Following
    control: Following
    own_strength: float
    still_strength: float
    num_left_out: int
    max_lag_slots: int


def energy_of(features: Float[Tensor, "w c 8"]) -> Float[Tensor, "w n"]:
    """Energy per slot of motion features."""
    energy = features[..., :FRAMES_PER_COLUMN]
    return rearrange(energy, "w c j -> w (c j)")


def best_correlation(
    first: Float[Tensor, " n"], second: Float[Tensor, " n"], *, max_lag_slots: int
) -> float | None:
    """Largest Pearson correlation within the lags; None where either does not change."""
    found: list[float] = []
    length = first.numel()
    for lag in range(-max_lag_slots, max_lag_slots + 1):
        a = first[max(0, lag) : length + min(0, lag)]
        b = second[max(0, -lag) : length + min(0, -lag)]
        a = a - a.mean()
        b = b - b.mean()
        size = float(a.square().sum() * b.square().sum()) ** 0.5
        if size > 1e-6:
            found.append(float((a * b).sum()) / size)
    return max(found) if found else None


def motion_following(
    features: Float[Tensor, "w c 8"],
    classes: Int[Tensor, " w"],
    generate: Generate,
    *,
    wanted: Float[Tensor, "w n"] | None = None,
    batch: int = 16,
    max_lag_slots: int = MAX_LAG_SLOTS,
) -> MotionFollowing:
    """Score a generator on held-out tracks.

    `wanted` is the loudness that should come out, the tracks' energy unless given: for tracks
    whose energy does not tell it, give that of the sounds they were made from.
    Raises InputError for fewer than two windows, which leave no other track for the control.
    """
    num_windows = features.shape[0]
    if num_windows < 2:
        raise InputError(f"{num_windows} windows: at least 2 are needed, 64 for a usable error")
    wanted = energy_of(features) if wanted is None else wanted
    own = _loudness(features, classes, generate, batch)
    other = _loudness(features.roll(1, 0), classes, generate, batch)
    still = _loudness(torch.zeros_like(features), classes, generate, batch)
    pairs = [
        (
            best_correlation(track, mine, max_lag_slots=max_lag_slots),
            best_correlation(track, control, max_lag_slots=max_lag_slots),
        )
        for track, mine, control in zip(wanted, own, other, strict=True)
    ]
    both = [(mine, control) for mine, control in pairs if mine is not None and control is not None]
    return MotionFollowing(
        own=_summary([mine for mine, _ in both]),
        control=_summary([control for _, control in both]),
        own_strength=float(own.mean()),
        still_strength=float(still.mean()),
        num_left_out=num_windows - len(both),
        max_lag_slots=max_lag_slots,
    )


def _loudness(
    features: Float[Tensor, "w c 8"], classes: Int[Tensor, " w"], generate: Generate, batch: int
) -> Float[Tensor, "w n"]:
    num_slots = features.shape[1] * FRAMES_PER_COLUMN
    parts: list[Tensor] = []
    for first in range(0, features.shape[0], batch):
        rows = slice(first, first + batch)
        parts.append(strength(generate(features[rows], classes[rows]))[:, :num_slots])
    return torch.cat(parts)


def _summary(values: list[float]) -> Following:
    if len(values) < 2:
        raise InputError(f"{len(values)} windows have a correlation: use tracks that change")
    all_values = torch.tensor(values, dtype=torch.float64)
    error = float(all_values.std() / len(values) ** 0.5)
    return Following(float(all_values.mean()), error, len(values))
