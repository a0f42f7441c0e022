"""Does a sound follow the bounces that are seen? Onsets and levels against a clip's truth.

Axes: s samples, e events, t video frames, f steps of the level track.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.foley_room.clip import ClipTruth, SoundEvent
from earsight.errors import InputError

STEP_SECONDS = 0.005
WINDOW_SECONDS = 0.02
RISE_SECONDS = 0.03  # an onset is a rise of the level within this time,
RISE_DB = 6.0  # by at least this much,
QUIETEST_DB = -40.0  # to at least this level below the loudest moment
MASKING_SECONDS = 0.12  # a contact this soon after one twice as fast is not heard by itself


@dataclass(frozen=True, kw_only=True, slots=True)
class BounceTiming:
    """How well a sound's onsets meet the contacts.

    A contact is hit when an onset lies within the tolerance; each onset counts once.
    `recall` is over the clear contacts, `precision` over all onsets against all contacts.
    Correlations are of levels in decibel: `level_correlation` per video frame,
    `strength_correlation` between impact speeds and the peaks that follow them.
    """

    num_clear_contacts: int
    num_onsets: int
    missed_seconds: tuple[float, ...]
    stray_seconds: tuple[float, ...]
    mean_lag_seconds: float
    level_correlation: float
    strength_correlation: float

    @property
    def recall(self) -> float:
        """Part of the clear contacts that are heard."""
        return 1 - len(self.missed_seconds) / self.num_clear_contacts

    @property
    def precision(self) -> float:
        """Part of the onsets that belong to a contact; 0 without any onset."""
        return 1 - len(self.stray_seconds) / self.num_onsets if self.num_onsets else 0.0


def bounce_timing(
    wave: Float[Tensor, " s"],
    rate_hz: int,
    truth: ClipTruth,
    *,
    tolerance_seconds: float = 0.1,
    clear_speed: float = 1.0,
) -> BounceTiming:
    """Measure a sound against the truth of the clip that it was made for.

    Contacts of `clear_speed` (m/s) and more should be heard one by one, except those that a
    much harder one drowns; slower ones follow each other too fast for that. Raises InputError
    where the truth has no clear contact.
    """
    times = [event.time_seconds for event in truth.events]
    clear = _clear(truth.events, clear_speed)
    if not clear:
        raise InputError(f"the truth has no contact of {clear_speed:g} m/s or more to listen for")
    onsets = loudness_onsets(wave, rate_hz)
    clear_times = [event.time_seconds for event in clear]
    hits = matched(clear_times, onsets, tolerance_seconds=tolerance_seconds)
    heard = {event for event, _ in hits}
    lags = [onsets[onset] - clear_times[event] for event, onset in hits]
    peaks = [_peak_db(wave, rate_hz, time, tolerance_seconds) for time in clear_times]
    speeds_db = [20 * float(np.log10(event.impact_speed)) for event in clear]
    frames_db = _frame_levels_db(wave, rate_hz, truth)
    return BounceTiming(
        num_clear_contacts=len(clear),
        num_onsets=len(onsets),
        missed_seconds=tuple(t for i, t in enumerate(clear_times) if i not in heard),
        stray_seconds=tuple(
            onset for onset in onsets if min(abs(onset - t) for t in times) > tolerance_seconds
        ),
        mean_lag_seconds=float(np.mean(lags)) if lags else 0.0,
        level_correlation=_correlation(frames_db, _floored_db(np.array(truth.loudness))),
        strength_correlation=_correlation(np.array(speeds_db), np.array(peaks)),
    )


def loudness_onsets(wave: Float[Tensor, " s"], rate_hz: int) -> list[float]:
    """Times in seconds at which a sound starts or clearly swells, in order."""
    power = _power_track(wave, rate_hz)
    level_db = _floored_db(np.sqrt(power), floor_db=2 * QUIETEST_DB)
    steps = round(RISE_SECONDS / STEP_SECONDS)
    before = np.concatenate([np.full(steps, level_db[0]), level_db[:-steps]])
    rise = level_db - before
    growth = np.diff(power, prepend=0.0)
    onsets: list[float] = []
    quiet_until = 0
    for step in np.flatnonzero((rise >= RISE_DB) & (level_db >= QUIETEST_DB)).tolist():
        if step < quiet_until:
            continue
        # the window is centred: the power grows fastest as its middle crosses the onset
        first = max(0, step - steps)
        onset = first + int(np.argmax(growth[first : step + steps + 1]))
        onsets.append((onset - 0.5) * STEP_SECONDS)
        quiet_until = max(step, onset) + steps
    return onsets


def matched(
    events: list[float], onsets: list[float], *, tolerance_seconds: float
) -> list[tuple[int, int]]:
    """The most pairs (event, onset) within a tolerance, each used once; both lists in order."""
    pairs: list[tuple[int, int]] = []
    free = 0
    for index, event in enumerate(events):
        free = max(free, bisect_left(onsets, event - tolerance_seconds))
        if free < len(onsets) and onsets[free] <= event + tolerance_seconds:
            pairs.append((index, free))
            free += 1
    return pairs


def _clear(events: tuple[SoundEvent, ...], clear_speed: float) -> list[SoundEvent]:
    def drowned(event: SoundEvent) -> bool:
        return any(
            0 <= event.time_seconds - other.time_seconds < MASKING_SECONDS
            and other.impact_speed >= 2 * event.impact_speed
            for other in events
        )

    return [event for event in events if event.impact_speed >= clear_speed and not drowned(event)]


def _power_track(wave: Float[Tensor, " s"], rate_hz: int) -> Float[np.ndarray, " f"]:
    """Mean power in a window around every step, the first step at 0 s."""
    hop, reach = round(STEP_SECONDS * rate_hz), round(WINDOW_SECONDS * rate_hz / 2)
    padded = torch.nn.functional.pad(wave.double().square(), (reach, reach))
    window = torch.hann_window(2 * reach, dtype=torch.float64)
    track = padded.unfold(0, 2 * reach, hop) @ (window / window.sum())
    return track.numpy()  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)


def _peak_db(wave: Float[Tensor, " s"], rate_hz: int, time: float, within: float) -> float:
    start = round(time * rate_hz)
    near = wave[start : start + max(1, round(within * rate_hz))]
    peak = float(near.abs().max()) if len(near) else 0.0
    return 20 * float(np.log10(max(peak, 1e-6)))


def _frame_levels_db(
    wave: Float[Tensor, " s"], rate_hz: int, truth: ClipTruth
) -> Float[np.ndarray, " t"]:
    edges = [round(i * rate_hz / truth.fps) for i in range(len(truth.loudness) + 1)]
    total = torch.zeros(edges[-1] + 1, dtype=torch.float64)
    power = wave.double().square()[: edges[-1]]
    total[1 : len(power) + 1] = power.cumsum(0)
    total[len(power) + 1 :] = total[len(power)]
    means = total[edges].diff() / torch.tensor(edges, dtype=torch.float64).diff()
    rms = means.clamp_min(0).sqrt()
    return _floored_db(rms.numpy())  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)


def _floored_db(
    amplitude: Float[np.ndarray, " f"], floor_db: float = QUIETEST_DB
) -> Float[np.ndarray, " f"]:
    """Level below the loudest moment, not under a floor."""
    loudest = max(float(amplitude.max()), 1e-12)
    return 20 * np.log10(np.maximum(amplitude / loudest, 10 ** (floor_db / 20)))


def _correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Pearson correlation; 0 where one of the two does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0
