"""Sounds with a pitch: oscillators, plucked strings, two-tone horns, the Doppler effect.

Everything is a pure function; noise comes from a generator passed in.
Axes: s samples, k partials.
"""

import numpy as np
from jaxtyping import Float

TONE_CHANGE_SECONDS = 0.015  # how long a two-tone horn takes from one tone to the other


def oscillator(
    frequency_hz: Float[np.ndarray, " s"], partials: Float[np.ndarray, " k"], rate_hz: int
) -> Float[np.ndarray, " s"]:
    """A tone whose frequency changes over time, with partials 1, 2, 3... of given amplitudes.

    Partials fade out as they come near half the rate, so that nothing is mirrored.
    """
    phase = 2 * np.pi * np.cumsum(frequency_hz) / rate_hz
    tone = np.zeros_like(phase)
    for number, amplitude in enumerate(partials, start=1):
        if amplitude:
            room = np.clip((0.48 * rate_hz - number * frequency_hz) / (0.05 * rate_hz), 0, 1)
            tone += float(amplitude) * room * np.sin(number * phase)
    return tone


def plucked_string(
    rng: np.random.Generator,
    frequency_hz: float,
    seconds: float,
    rate_hz: int,
    *,
    decay_seconds: float,
    softness: float = 0.5,
) -> Float[np.ndarray, " s"]:
    """A string set free at once, peak 1: noise sent round a loop that is one period long.

    The fundamental falls to 1/e in `decay_seconds`, high partials sooner. `softness`, 0 to 1,
    takes treble from the pluck. Source: Karplus and Strong 1983; tuned by interpolating the delay.
    """
    period = rate_hz / frequency_hz
    whole = int(np.floor(period - 0.5))
    part = period - 0.5 - whole
    # the mean of two neighbours (half a sample of delay) of a value between two samples
    taps = np.convolve([0.5, 0.5], [1 - part, part]) * np.exp(-period / rate_hz / decay_seconds)
    burst = rng.uniform(-1, 1, whole)
    burst = (1 - 0.5 * softness) * burst + 0.5 * softness * np.roll(burst, 1)
    # plucked at a fifth of its length: every fifth partial is missing
    burst = burst - np.roll(burst, whole // 5)
    burst -= burst.mean()
    num_samples = round(seconds * rate_hz)
    before = whole + 2
    string = np.zeros(before + num_samples + whole)
    string[before : before + whole] = burst
    for start in range(before + whole, before + num_samples, whole):
        past = start - whole
        block = taps[0] * string[past:start]
        block += taps[1] * string[past - 1 : start - 1]
        block += taps[2] * string[past - 2 : start - 2]
        string[start : start + whole] = block
    string = string[before : before + num_samples]
    return string / max(1e-9, float(np.abs(string).max()))


def two_tone_hz(
    seconds: Float[np.ndarray, " s"], low_hz: float, high_hz: float, tone_seconds: float
) -> Float[np.ndarray, " s"]:
    """The frequency of a horn that changes between two tones, beginning with the low one."""
    edge = tone_seconds / TONE_CHANGE_SECONDS
    # -1 to 1 and back in a double tone, cut off early: straight flanks, flat tops
    swing = np.clip(np.sin(np.pi * seconds / tone_seconds) * edge, -1, 1)
    return (low_hz + high_hz) / 2 - swing * (high_hz - low_hz) / 2


def doppler(
    distance_metres: Float[np.ndarray, " s"], rate_hz: int, sound_metres_a_second: float
) -> Float[np.ndarray, " s"]:
    """By what a frequency is multiplied for a listener at rest, given the source's distance."""
    leaving = np.gradient(distance_metres) * rate_hz
    return sound_metres_a_second / (sound_metres_a_second + leaving)


def falling_thump(
    start_hz: float, end_hz: float, decay_seconds: float, rate_hz: int
) -> Float[np.ndarray, " s"]:
    """A deep stroke, peak about 1: a sine that falls in pitch and dies away."""
    time = np.arange(round(6 * decay_seconds * rate_hz)) / rate_hz
    frequency = end_hz + (start_hz - end_hz) * np.exp(-3 * time / decay_seconds)
    return np.exp(-time / decay_seconds) * np.sin(2 * np.pi * np.cumsum(frequency) / rate_hz)
