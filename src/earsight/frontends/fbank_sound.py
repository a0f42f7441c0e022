"""Sound from a log filterbank: band powers spread over bins, then Griffin-Lim.

Where the true spectrum of some bins is known it is kept, and phases fit to it. Sources: Griffin,
Lim, 1984; Perraudin, Balazs, Sondergaard, 2013; multiplicative updates: Lee, Seung, 2001.

Axes: s samples, t frames, m mel bands, f frequency bins, l frames and those put around them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError
from earsight.frontends.kaldi_fbank import PRE_EMPHASIS, PUBLISHED, mel_filters

# the builtin carries no types
_istft = cast(Callable[..., Tensor], torch.istft)  # pyright: ignore[reportUnknownMemberType]
SPREAD_STEPS = 30
TINY = 1e-12
LEAD_FRAMES, TAIL_FRAMES = 2, 3  # put around the frames, so that no sample lies at a border
# our frames hang over no edge, those of torch.stft are centred: half a window's difference
OFFSET_SAMPLES = LEAD_FRAMES * PUBLISHED.hop_samples - PUBLISHED.window_samples // 2


@dataclass(frozen=True, slots=True)
class KnownSound:
    """The original wave, and which bands of which frames of it may be used."""

    wave: Float[Tensor, " s"]
    bands: Bool[Tensor, "t m"]


def fbank_to_wave(
    fbank: Float[Tensor, "t m"],
    *,
    num_samples: int,
    rng: torch.Generator,
    known: KnownSound | None = None,
    iterations: int = 60,
    momentum: float = 0.99,
) -> Float[Tensor, " s"]:
    """A wave at 16 kHz whose published `log_fbank` comes near `fbank`.

    `rng` (on the CPU) draws the start phases. With `known`, bins whose bands are all visible keep
    the original's spectrum, and of the other bins nothing of the original is used. Raises
    InputError for a number of samples that does not belong to so many frames.
    """
    num_frames = fbank.shape[0]
    least = PUBLISHED.window_samples + (num_frames - 1) * PUBLISHED.hop_samples
    if num_frames < 1 or not 0 <= num_samples - least < PUBLISHED.hop_samples:
        raise InputError(
            f"{num_frames} frames belong to {least} samples or up to "
            f"{PUBLISHED.hop_samples - 1} more, got {num_samples}"
        )
    magnitude = _around((bin_power(fbank.exp()).sqrt() * _loudening()).T)
    fixed, where = _known_bins(known, num_frames, magnitude)
    angle = torch.rand(magnitude.shape, generator=rng) * (2 * math.pi)
    spectrum = torch.where(where, fixed, torch.polar(magnitude, angle))
    pull, previous = momentum / (1 + momentum), torch.zeros_like(spectrum)
    for _ in range(iterations):
        rebuilt = _stft(_wave(spectrum))
        turned = rebuilt - pull * previous
        phase = turned / (turned.abs() + TINY)
        spectrum, previous = torch.where(where, fixed, magnitude * phase), rebuilt
    wave = _wave(spectrum)[OFFSET_SAMPLES:][:num_samples]
    return functional.pad(wave, (0, num_samples - len(wave)))


def bin_power(power: Float[Tensor, "t m"]) -> Float[Tensor, "t f"]:
    """Bin powers, none negative, whose bands come near `power`; bins in no band are 0."""
    filters = mel_filters(PUBLISHED, torch.device("cpu"))  # (f, m)
    reached, per_bin = filters.sum(dim=0), filters.sum(dim=1)
    density = power / reached.clamp(min=TINY)
    bins = (density @ filters.T) / per_bin.clamp(min=TINY)
    used = (reached > 0).float()
    for _ in range(SPREAD_STEPS):
        ratio = used * power / (bins @ filters).clamp(min=TINY)
        bins = bins * (ratio @ filters.T) / per_bin.clamp(min=TINY)
    return functional.pad(bins, (0, 1))


@cache
def _loudening() -> Float[Tensor, " f"]:
    """What undoes pre-emphasis at every bin."""
    with torch.inference_mode(False):
        angle = torch.linspace(0, math.pi, PUBLISHED.fft_samples // 2 + 1)
        return 1 / torch.abs(1 - torch.polar(torch.full_like(angle, PRE_EMPHASIS), -angle))


def _known_bins(
    known: KnownSound | None, num_frames: int, magnitude: Float[Tensor, "f l"]
) -> tuple[Complex[Tensor, "f l"], Bool[Tensor, "f l"]]:
    """Spectrum to keep, and where it is to be kept: only whole visible bands inside the sound."""
    where = torch.zeros(magnitude.shape, dtype=torch.bool)
    if known is None:
        return torch.zeros_like(magnitude, dtype=torch.complex64), where
    filters = mel_filters(PUBLISHED, torch.device("cpu"))
    hidden = (~known.bands).float() @ (filters > 0).float().T > 0  # (t, f)
    visible = ~functional.pad(hidden, (0, 1))
    visible[:, -1] = visible[:, -2]
    visible[:, 0] = visible[:, 1]
    where[:, LEAD_FRAMES : LEAD_FRAMES + num_frames] = visible.T
    length = (magnitude.shape[1] - 1) * PUBLISHED.hop_samples
    missing = max(0, length - OFFSET_SAMPLES - len(known.wave))
    placed = functional.pad(known.wave, (OFFSET_SAMPLES, missing))[:length]
    return _stft(placed), where


def _around(magnitude: Float[Tensor, "f t"]) -> Float[Tensor, "f l"]:
    before = magnitude[:, :1].expand(-1, LEAD_FRAMES)
    behind = magnitude[:, -1:].expand(-1, TAIL_FRAMES)
    return torch.cat([before, magnitude, behind], dim=1)


def _window() -> Float[Tensor, " w"]:
    return torch.hann_window(PUBLISHED.window_samples, periodic=False)


def _stft(wave: Float[Tensor, " s"]) -> Complex[Tensor, "f l"]:
    return torch.stft(
        wave,
        PUBLISHED.fft_samples,
        hop_length=PUBLISHED.hop_samples,
        win_length=PUBLISHED.window_samples,
        window=_window(),
        pad_mode="constant",
        return_complex=True,
    )


def _wave(spectrum: Complex[Tensor, "f l"]) -> Float[Tensor, " s"]:
    return _istft(
        spectrum,
        PUBLISHED.fft_samples,
        hop_length=PUBLISHED.hop_samples,
        win_length=PUBLISHED.window_samples,
        window=_window(),
    )
