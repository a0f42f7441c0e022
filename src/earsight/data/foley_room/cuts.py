"""Loud events and steady stretches, cut out of recordings and brought to a wanted level.

Axes: s samples of a recording, r samples of the result, n hundredths of a second, h steps of the
level track.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

STEP_SECONDS = 0.005
RISE_STEPS = 3
RISE_DB = 9.0
PEAK_STEPS = 12
EVENT_RANGE_DB = 15.0  # an event peaks at most so far under the recording's loudest moment
END_DB = 35.0  # it has ended when it has fallen so far under its own peak
FEWEST_STEPS = 10  # between two events
LONGEST_SECONDS = 2.5
UNENDING_SECONDS = 0.6  # of a sound that does not die away
LEAD_SECONDS = 0.002
FADE_IN_SECONDS = 0.003
FADE_OUT_SECONDS = 0.015
LOUDEST_PEAK = 0.7
STEADY_RMS = 0.16
STEADY_RANGE_DB = 25.0
JOIN_SECONDS = 0.05
SHORTEST_STEADY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Cut:
    """Samples `start` to `stop` - 1 of a recording."""

    start: int
    stop: int


def find_events(wave: Float[np.ndarray, " s"], rate_hz: int) -> tuple[Cut, ...]:
    """Loud events, each from just before its attack to its natural end or the next one's start.

    Always at least one: where nothing stands out, the stretch after the loudest moment.
    """
    levels, step = _levels_db(wave, rate_hz)
    onsets = _onsets(levels)
    if not onsets:
        top = int(levels.argmax()) * step
        return (Cut(top, min(len(wave), top + round(UNENDING_SECONDS * rate_hz))),)
    ends = [*onsets[1:], len(levels)]
    return tuple(
        _event(wave, levels, (onset, end), step, rate_hz)
        for onset, end in zip(onsets, ends, strict=True)
    )


def event_sound(
    wave: Float[np.ndarray, " s"], cut: Cut, strength: float, rate_hz: int, max_samples: int
) -> Float[np.ndarray, " r"]:
    """An event of a recording with soft edges, peaking at 0.7 times the strength."""
    sound = wave[cut.start : min(cut.stop, cut.start + max_samples)].astype(np.float32)
    fade_in = min(len(sound), round(FADE_IN_SECONDS * rate_hz))
    fade_out = min(len(sound), round(FADE_OUT_SECONDS * rate_hz))
    gain = np.ones(len(sound), np.float32)
    gain[:fade_in] = np.linspace(0, 1, fade_in, endpoint=False)
    gain[len(sound) - fade_out :] *= np.linspace(1, 0, fade_out)
    sound = sound * gain
    peak = float(np.abs(sound).max(initial=0.0))
    return sound * np.float32(LOUDEST_PEAK * strength / peak) if peak > 0 else sound


def steady_sound(
    rng: np.random.Generator,
    wave: Float[np.ndarray, " s"],
    envelope: Float[np.ndarray, " n"],
    rate_hz: int,
    num_samples: int,
) -> Float[np.ndarray, " r"]:
    """The steadiest long stretch of a recording, repeated as often as needed, in a shape."""
    stretch = _longest_loud(wave, rate_hz)
    join = min(len(stretch) // 4, round(JOIN_SECONDS * rate_hz))
    begin = int(rng.integers(len(stretch)))
    stretch = _looped(stretch, join)
    stretch = np.roll(stretch, -(begin % len(stretch)))
    repeated = np.resize(stretch, num_samples)
    repeated = repeated * (STEADY_RMS / np.sqrt(np.mean(repeated.astype(np.float64) ** 2)))
    shape = np.interp(np.arange(num_samples) / rate_hz, np.arange(len(envelope)) / 100, envelope)
    shaped = repeated * shape
    peak = float(np.abs(shaped).max(initial=0.0))
    return (shaped * min(1.0, LOUDEST_PEAK / max(peak, 1e-9))).astype(np.float32)


def _levels_db(wave: Float[np.ndarray, " s"], rate_hz: int) -> tuple[Float[np.ndarray, " h"], int]:
    step = round(STEP_SECONDS * rate_hz)
    padded = np.pad(wave.astype(np.float64), (0, -len(wave) % step))
    power = (padded.reshape(-1, step) ** 2).mean(1)
    return 10 * np.log10(np.maximum(power, 1e-10)), step


def _onsets(levels: Float[np.ndarray, " h"]) -> list[int]:
    """Steps at which the level jumps, the steepest first where two are close."""
    before = np.concatenate([np.full(RISE_STEPS, levels.min()), levels])[: len(levels)]
    padded = np.pad(levels, (0, PEAK_STEPS - 1), mode="edge")
    soon = np.lib.stride_tricks.sliding_window_view(padded, PEAK_STEPS).max(1)
    rise = levels - before
    wanted = (rise > RISE_DB) & (soon > levels.max() - EVENT_RANGE_DB)
    found: list[int] = []
    for step in np.argsort(-rise, kind="stable"):
        if wanted[step] and all(abs(int(step) - other) >= FEWEST_STEPS for other in found):
            found.append(int(step))
    return sorted(found)


def _event(
    wave: Float[np.ndarray, " s"],
    levels: Float[np.ndarray, " h"],
    span: tuple[int, int],
    step: int,
    rate_hz: int,
) -> Cut:
    onset, later = span
    body = levels[onset : max(later - 1, onset + 1)]
    top = int(body[:PEAK_STEPS].argmax())
    quiet = np.nonzero(body[top:] < body[top] - END_DB)[0]
    stop = onset + top + int(quiet[0]) if len(quiet) else onset + len(body)
    # the attack itself, to the sample
    first = max(0, (onset - RISE_STEPS) * step)
    near = np.abs(wave[first : (onset + top + 1) * step])
    start = first + int(np.argmax(near > 0.15 * near.max()))
    start = max(0, start - round(LEAD_SECONDS * rate_hz))
    return Cut(start, min(len(wave), stop * step, start + round(LONGEST_SECONDS * rate_hz)))


def _longest_loud(wave: Float[np.ndarray, " s"], rate_hz: int) -> Float[np.ndarray, " r"]:
    """The longest stretch without pauses; everything where all stretches are short."""
    levels, step = _levels_db(wave, rate_hz)
    reach = round(0.1 / STEP_SECONDS)  # gaps shorter than this are none
    padded = np.pad(levels, reach // 2, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, reach + 1 - reach % 2).max(1)
    loud = (around > levels.max() - STEADY_RANGE_DB).astype(int)
    edges = np.diff(np.concatenate([[0], loud, [0]]))
    starts, stops = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0]
    longest = int((stops - starts).argmax())
    stretch = wave[starts[longest] * step : min(len(wave), stops[longest] * step)]
    return stretch if len(stretch) >= SHORTEST_STEADY_SECONDS * rate_hz else wave


def _looped(stretch: Float[np.ndarray, " s"], join: int) -> Float[np.ndarray, " r"]:
    """A stretch whose end runs into its own begin."""
    if join == 0:
        return stretch
    part = np.linspace(0, 1, join, endpoint=False)
    # powers add: the two sides are not alike
    joined = stretch[:join] * np.sqrt(part) + stretch[-join:] * np.sqrt(1 - part)
    return np.concatenate([joined, stretch[join:-join]])
