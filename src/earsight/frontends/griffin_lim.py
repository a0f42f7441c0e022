"""Sound from a spectrogram without a network: fast Griffin-Lim, after mel bands are spread out.

Source: Perraudin, Balazs, Sondergaard, 2013; the steps are librosa 0.8's, which the official
SpecVQGAN repository calls.

Axes: b clips, s samples, m mel bands, f frequency bins, t frames.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import (
    FFT_SAMPLES,
    MEL_HOP_SAMPLES,
    mel_amplitude,
    mel_filters,
)

# the builtin carries no types
_istft = cast(Callable[..., Tensor], torch.istft)  # pyright: ignore[reportUnknownMemberType]

PHASE_EPSILON = 1e-16  # keeps the phase of an empty bin finite


@cache
def _inverse_filters(device: torch.device) -> Float[Tensor, "f m"]:
    filters = mel_filters(torch.device("cpu")).double()
    inverse = cast(Tensor, torch.linalg.pinv(filters))  # pyright: ignore[reportUnknownMemberType]
    return inverse.float().to(device)


def stft_magnitude(amplitude: Float[Tensor, "*b m t"]) -> Float[Tensor, "*b f t"]:
    """STFT magnitude whose mel bands come nearest to `amplitude`: least squares, clipped at 0.

    Differs from the official chain, which refines this start by non-negative least squares: on
    real spectrograms the start is within 0.2 % of the bands already.
    """
    return (_inverse_filters(amplitude.device) @ amplitude).clamp(min=0)


def random_phase(
    num_frames: int, generators: Sequence[torch.Generator]
) -> Complex[Tensor, "b f t"]:
    """Unit numbers of uniformly random angle, one clip per CPU generator."""
    shape = (FFT_SAMPLES // 2 + 1, num_frames)
    angles = torch.stack([torch.rand(shape, generator=each) for each in generators])
    return torch.polar(torch.ones_like(angles), 2 * math.pi * angles)


def griffin_lim(
    magnitude: Float[Tensor, "b f t"],
    *,
    iterations: int = 32,
    momentum: float = 0.99,
    start_phase: Complex[Tensor, "b f t"] | None = None,
) -> Float[Tensor, "b s"]:
    """Wave of 256 (t - 1) samples whose STFT magnitude comes near `magnitude`.

    Without a start phase all phases begin at zero, and the result draws nothing at random.
    Raises InputError for fewer than 4 frames, whose borders cannot be reflected.
    """
    num_frames = magnitude.shape[2]
    if num_frames < 4:
        raise InputError(f"magnitude has {num_frames} frames: at least 4 are needed")
    window = torch.hann_window(FFT_SAMPLES, periodic=True, device=magnitude.device)
    pull = momentum / (1 + momentum)

    def wave_of(spectrum: Complex[Tensor, "b f t"]) -> Float[Tensor, "b s"]:
        return _istft(spectrum, FFT_SAMPLES, hop_length=MEL_HOP_SAMPLES, window=window)

    angles = torch.ones_like(magnitude, dtype=torch.complex64)
    if start_phase is not None:
        angles = start_phase.to(magnitude.device)
    previous = torch.zeros_like(angles)
    for _ in range(iterations):
        rebuilt = torch.stft(
            wave_of(magnitude * angles),
            FFT_SAMPLES,
            hop_length=MEL_HOP_SAMPLES,
            window=window,
            pad_mode="reflect",
            return_complex=True,
        )
        angles = rebuilt - pull * previous
        angles = angles / (angles.abs() + PHASE_EPSILON)
        previous = rebuilt
    return wave_of(magnitude * angles)


def mel_to_wave(
    mel: Float[Tensor, "b m t"],
    *,
    iterations: int = 32,
    momentum: float = 0.99,
    generators: Sequence[torch.Generator] | None = None,
) -> Float[Tensor, "b s"]:
    """Wave of 256 t samples at 22050 Hz from a [0, 1] spectrogram.

    One CPU generator per clip draws its start phases, so a clip comes out the same in any batch;
    without generators phases start at zero. The last frame is repeated once, so that the length
    equals a vocoder's. Raises InputError where the number of generators is not that of clips.
    """
    if generators is not None and len(generators) != mel.shape[0]:
        raise InputError(f"{len(generators)} generators for {mel.shape[0]} clips: give one each")
    magnitude = stft_magnitude(mel_amplitude(mel.float()))
    magnitude = torch.cat([magnitude, magnitude[:, :, -1:]], dim=2)
    start = None if generators is None else random_phase(magnitude.shape[2], generators)
    return griffin_lim(magnitude, iterations=iterations, momentum=momentum, start_phase=start)
