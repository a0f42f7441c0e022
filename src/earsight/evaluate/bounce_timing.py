"""Does a sound follow the bounces that are seen? Onsets and levels against a clip's truth.

Axes: s samples, e events, t video frames.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from earsight.data.foley_room.clip import ClipTruth, SoundEvent
from earsight.errors import InputError
from earsight.evaluate.loudness_tracks import correlation, floored_db, frame_levels_db
from earsight.evaluate.onset_detection import detect_onsets

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
    onsets = detect_onsets(wave, rate_hz)
    clear_times = [event.time_seconds for event in clear]
    hits = matched(clear_times, onsets, tolerance_seconds=tolerance_seconds)
    heard = {event for event, _ in hits}
    lags = [onsets[onset] - clear_times[event] for event, onset in hits]
    peaks = [_peak_db(wave, rate_hz, time, tolerance_seconds) for time in clear_times]
    speeds_db = [20 * float(np.log10(event.impact_speed)) for event in clear]
    frames_db = frame_levels_db(wave, rate_hz, num_frames=len(truth.loudness), fps=truth.fps)
    return BounceTiming(
        num_clear_contacts=len(clear),
        num_onsets=len(onsets),
        missed_seconds=tuple(t for i, t in enumerate(clear_times) if i not in heard),
        stray_seconds=tuple(
            onset for onset in onsets if min(abs(onset - t) for t in times) > tolerance_seconds
        ),
        mean_lag_seconds=float(np.mean(lags)) if lags else 0.0,
        level_correlation=correlation(frames_db, floored_db(np.array(truth.loudness))),
        strength_correlation=correlation(np.array(speeds_db), np.array(peaks)),
    )


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


def _peak_db(wave: Float[Tensor, " s"], rate_hz: int, time: float, within: float) -> float:
    start = round(time * rate_hz)
    near = wave[start : start + max(1, round(within * rate_hz))]
    peak = float(near.abs().max()) if len(near) else 0.0
    return 20 * float(np.log10(max(peak, 1e-6)))
