"""Sounds without a pitch: noise of a band, grains, crackle; and how they are laid into a clip.

Everything is a pure function; noise comes from a generator passed in.
Axes: s samples, n steps of an envelope (100 a second), g grains, k kernels, m samples of a kernel.
"""

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import smooth_step

ENVELOPE_HZ = 100
EDGE_SECONDS = 0.012


def band_noise(
    rng: np.random.Generator,
    num_samples: int,
    low_hz: float,
    high_hz: float,
    rate_hz: int,
    *,
    octave_db: float = 0.0,
) -> Float[np.ndarray, " s"]:
    """Steady noise of rms 1 between two frequencies, tilted by so many decibels an octave.

    Outside the band it falls by 24 dB an octave.
    """
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency = np.maximum(np.fft.rfftfreq(num_samples, 1 / rate_hz), 1.0)
    octaves_out = np.maximum(0, np.log2(low_hz / frequency))
    octaves_out = octaves_out + np.maximum(0, np.log2(frequency / high_hz))
    decibels = octave_db * np.log2(frequency / low_hz) - 24 * octaves_out
    noise = np.fft.irfft(spectrum * 10 ** (decibels / 20), num_samples)
    return noise / max(1e-9, float(np.sqrt((noise**2).mean())))


def grain_kernels(
    rng: np.random.Generator,
    num_kernels: int,
    low_hz: float,
    high_hz: float,
    decay_seconds: float,
    rate_hz: int,
) -> Float[np.ndarray, "k m"]:
    """Short pieces of noise of a band that begin at once and die away, peak 1 each."""
    length = round(6 * decay_seconds * rate_hz)
    fading = np.exp(-np.arange(length) / (decay_seconds * rate_hz))
    kernels = np.empty((num_kernels, length))
    for row in kernels:
        row[:] = band_noise(rng, length, low_hz, high_hz, rate_hz) * fading
        row /= np.abs(row).max()
    return kernels


def grains(
    times_seconds: Float[np.ndarray, " g"],
    amplitudes: Float[np.ndarray, " g"],
    kernels: Float[np.ndarray, "k m"],
    num_samples: int,
    rate_hz: int,
) -> Float[np.ndarray, " s"]:
    """Grains laid where they happen; they take the kernels in turn. Those outside are left out."""
    position = np.round(times_seconds * rate_hz).astype(int)
    kind = np.arange(len(position)) % len(kernels)
    inside = (position >= 0) & (position < num_samples)
    length = len(kernels[0])
    places = np.add.outer(position[inside], np.arange(length))
    pieces = kernels[kind[inside]] * amplitudes[inside, None]
    total = np.bincount(places.ravel(), pieces.ravel(), num_samples + length)
    return total[:num_samples].astype(np.float64)  # without grains it counts in whole numbers


def between_knots(
    moments: Float[np.ndarray, " n"],
    knots: Float[np.ndarray, " k"],
    values: Float[np.ndarray, " k"],
) -> Float[np.ndarray, " n"]:
    """A smooth track through values at given times, level at each of them and outside."""
    after = np.clip(np.searchsorted(knots, moments, side="right"), 1, len(knots) - 1)
    part = smooth_step((moments - knots[after - 1]) / (knots[after] - knots[after - 1]))
    return values[after - 1] + (values[after] - values[after - 1]) * part


def scattered_times(
    rng: np.random.Generator, rate_a_second: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " g"]:
    """Moments that come by chance, at a rate that changes a hundred times a second; in order."""
    counts = rng.poisson(rate_a_second / ENVELOPE_HZ)
    steps = np.repeat(np.arange(len(counts)), counts)
    return np.sort((steps + rng.uniform(0, 1, len(steps))) / ENVELOPE_HZ)


def envelope_times(clip_seconds: float) -> Float[np.ndarray, " n"]:
    """The moments at which an envelope of a clip is given."""
    return np.arange(round(clip_seconds * ENVELOPE_HZ)) / ENVELOPE_HZ


def decaying_envelope(
    times_seconds: Float[np.ndarray, " g"],
    strengths: Float[np.ndarray, " g"],
    decay_seconds: float,
    clip_seconds: float,
) -> Float[np.ndarray, " n"]:
    """Happenings that begin at once and die away to 1/e in a time; the strongest one counts."""
    track = np.zeros(round(clip_seconds * ENVELOPE_HZ))
    moments = envelope_times(clip_seconds)
    for time, strength in zip(times_seconds, strengths, strict=True):
        since = moments - time
        fading = np.exp(-np.maximum(since, 0) / decay_seconds)
        track = np.maximum(track, np.where(since >= 0, strength * fading, 0))
    return track


def at_rate(
    envelope: Float[np.ndarray, " n"], num_samples: int, rate_hz: int
) -> Float[np.ndarray, " s"]:
    """An envelope for every sample."""
    steps = np.arange(num_samples) * (ENVELOPE_HZ / rate_hz)
    return np.interp(steps, np.arange(len(envelope)), envelope)


def with_soft_edges(
    sound: Float[np.ndarray, " s"], enter_seconds: float, rate_hz: int
) -> Float[np.ndarray, " s"]:
    """Float32 sound that swells from nothing where it enters and ends the clip without a click."""
    time = np.arange(len(sound)) / rate_hz
    left = len(sound) / rate_hz - time
    edges = np.clip(np.minimum(time - enter_seconds, left) / EDGE_SECONDS, 0, 1)
    return (sound * edges).astype(np.float32)
