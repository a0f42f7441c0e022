"""When does something begin to sound? One detector for true and generated sounds alike.

Rises of a log-mel spectrogram are added up over the bands (spectral flux), where each band is
compared with the loudest of its neighbours a moment before, so that gliding tones are no onsets.
Peaks of the flux that stand out of their surroundings are onsets; the exact moment is then looked
for in the waveform, where the power grows most.
Idea: Boeck and Widmer, "Maximum filter vibrato suppression for onset detection", 2013 (SuperFlux).

Axes: s samples, m mel bands, f steps.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError
from earsight.frontends.mel_filters import slaney_filters

LEAST_SECONDS = 0.05
"""Shorter sounds have no before and after."""
HIGHEST_HZ = 10_000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class OnsetSettings:
    """How onsets are found. Levels in decibel per band, times in seconds.

    A step is a rise where the flux is the largest within `apart_seconds` on both sides, exceeds
    the mean of its surroundings (`before_seconds`, `after_seconds`) by `least_rise_db`, and the
    loudness there is within `range_db` of the loudest moment. `floor_db` under the loudest band
    everything counts as silence, so that the hiss between events is not followed.
    """

    step_seconds: float = 0.005
    window_seconds: float = 0.023
    lag_steps: int = 4
    num_bands: int = 60
    floor_db: float = 60.0
    range_db: float = 45.0
    least_rise_db: float = 2.6
    before_seconds: float = 0.12
    after_seconds: float = 0.06
    apart_seconds: float = 0.04

    def __post_init__(self) -> None:
        """Refuse settings without a meaning."""
        if not (self.step_seconds > 0 and self.window_seconds >= self.step_seconds):
            raise ConfigError(
                f"steps of {self.step_seconds} s need windows at least as long, got "
                f"{self.window_seconds} s"
            )
        if self.lag_steps < 1 or self.num_bands < 3:
            raise ConfigError("lag_steps must be 1 or more, num_bands 3 or more")


PLAIN = OnsetSettings()


def detect_onsets(
    wave: Float[Tensor, " s"], rate_hz: int, settings: OnsetSettings = PLAIN
) -> list[float]:
    """Times in seconds at which something begins to sound, in order.

    A sound that is there from the first sample on has no onset there. Nothing is found in
    silence.
    """
    wave = wave.detach().cpu().float()
    if wave.numel() < LEAST_SECONDS * rate_hz or not bool(wave.any()):
        return []
    level_db = _band_levels(wave, rate_hz, settings)
    flux = _flux(level_db, settings)
    loudness = _loudness_db(wave, rate_hz, settings)[: flux.size]
    steps = _peaks(flux, loudness, settings)
    hop = _hop(rate_hz, settings)
    times = [_refined(wave, rate_hz, step * hop) for step in steps]
    return _apart(times, settings.apart_seconds)


def onset_strength(
    wave: Float[Tensor, " s"], rate_hz: int, settings: OnsetSettings = PLAIN
) -> Float[np.ndarray, " f"]:
    """Mean rise over the bands in decibel, per step; for pictures and thresholds."""
    return _flux(_band_levels(wave.detach().cpu().float(), rate_hz, settings), settings)


@cache
def _filters(rate_hz: int, fft_samples: int, num_bands: int) -> Float[Tensor, "m f"]:
    filters = slaney_filters(
        rate_hz=rate_hz,
        fft_samples=fft_samples,
        num_mels=num_bands,
        low_hz=60.0,
        high_hz=min(HIGHEST_HZ, 0.475 * rate_hz),
    )
    # bands narrower than a bin would be empty
    return filters[filters.sum(dim=1) > 0]


def _hop(rate_hz: int, settings: OnsetSettings) -> int:
    return max(1, round(settings.step_seconds * rate_hz))


def _band_levels(
    wave: Float[Tensor, " s"], rate_hz: int, settings: OnsetSettings
) -> Float[Tensor, "m f"]:
    """Band levels in decibel, not below the floor; windows centred on multiples of the step."""
    window = round(settings.window_seconds * rate_hz)
    size = 2 ** math.ceil(math.log2(window))
    spectrum = torch.stft(
        wave,
        size,
        hop_length=_hop(rate_hz, settings),
        win_length=window,
        window=torch.hann_window(window),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = _filters(rate_hz, size, settings.num_bands) @ spectrum.abs().square()
    level = 10 * power.clamp(min=1e-20).log10()
    return level.clamp(min=float(level.max()) - settings.floor_db)


def _flux(level_db: Float[Tensor, "m f"], settings: OnsetSettings) -> Float[np.ndarray, " f"]:
    lag = settings.lag_steps
    widest = functional.max_pool1d(level_db.T[None], 3, stride=1, padding=1)[0].T
    earlier = torch.cat([widest[:, :1].expand(-1, lag), widest[:, :-lag]], dim=1)
    rise = (level_db - earlier[:, : level_db.shape[1]]).clamp(min=0).mean(dim=0)
    # windows over the end are mirrored there, and the kink sounds like a click
    edge = math.ceil(settings.window_seconds / settings.step_seconds / 2)
    rise[max(0, len(rise) - edge) :] = 0
    return rise.double().numpy()


def _loudness_db(
    wave: Float[Tensor, " s"], rate_hz: int, settings: OnsetSettings
) -> Float[np.ndarray, " f"]:
    """Loudest level within two windows after every step, relative to the loudest of all."""
    hop, window = _hop(rate_hz, settings), 2 * round(settings.window_seconds * rate_hz)
    power = functional.pad(wave.double().square(), (0, window))
    track = power.unfold(0, window, hop).mean(dim=1).numpy()
    track = np.concatenate([track, track[-1:]])
    return 10 * np.log10(np.maximum(track / track.max(), 1e-12))


def _peaks(
    flux: Float[np.ndarray, " f"], loudness_db: Float[np.ndarray, " g"], settings: OnsetSettings
) -> list[int]:
    """Steps whose flux stands out."""

    def steps(seconds: float) -> int:
        return max(1, round(seconds / settings.step_seconds))

    before, after = steps(settings.before_seconds), steps(settings.after_seconds)
    near = steps(settings.apart_seconds)
    found: list[int] = []
    for step in np.flatnonzero(flux >= settings.least_rise_db).tolist():
        around = flux[max(0, step - near) : step + near + 1]
        usual = float(np.median(flux[max(0, step - before) : step + after + 1]))
        is_top = flux[step] >= around.max() and (not found or step - found[-1] > near)
        is_loud = loudness_db[min(step, loudness_db.size - 1)] >= -settings.range_db
        if is_top and is_loud and flux[step] >= usual + settings.least_rise_db:
            found.append(step)
    return found


def _refined(wave: Float[Tensor, " s"], rate_hz: int, coarse: int) -> float:
    """Second near sample `coarse` at which the power of the changes grows most.

    The mean power of the 8 ms behind a sample is compared with that of the 8 ms before it; high
    frequencies weigh more, since they start more sharply.
    """
    reach, side = round(0.035 * rate_hz), round(0.008 * rate_hz)
    first = coarse - reach - side
    last = coarse + reach + side
    part = wave[max(0, first) : last].double()
    part = functional.pad(part, (max(0, -first), max(0, last - wave.numel())))
    power = functional.pad(part.diff(), (1, 0)).square() + 1e-3 * part.square()
    total = functional.pad(power.cumsum(0), (1, 0))
    centre = torch.arange(side, power.numel() - side + 1)
    later = total[centre + side] - total[centre]
    earlier = total[centre] - total[centre - side]
    floor = 1e-3 * float(later.max()) + 1e-30
    growth = (later + floor).log() - (earlier + floor).log()
    # of two equal rises the one that ends louder: a faint click before a knock is not the knock
    score = growth + 0.5 * (later + floor).log()
    return max(0, first + int(centre[int(score.argmax())])) / rate_hz


def _apart(times: list[float], least_seconds: float) -> list[float]:
    kept: list[float] = []
    for time in sorted(times):
        if not kept or time - kept[-1] >= least_seconds / 2:
            kept.append(time)
    return kept
