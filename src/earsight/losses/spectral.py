"""Distances between waves in the spectral domain.

Axes: b clips, s samples, f frequency bins, t frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# the builtin carries no types
_norm = cast(Callable[[Tensor], Tensor], torch.linalg.vector_norm)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """One short-time Fourier transform: periodic Hann window, hop in samples."""

    fft_samples: int
    hop_samples: int


RESOLUTIONS = (
    Resolution(fft_samples=2048, hop_samples=512),
    Resolution(fft_samples=1024, hop_samples=256),
    Resolution(fft_samples=512, hop_samples=128),
    Resolution(fft_samples=128, hop_samples=32),
)
POWER_FLOOR = 1e-7  # keeps the gradient of a magnitude near silence finite


def magnitude(wave: Float[Tensor, "b s"], resolution: Resolution) -> Float[Tensor, "b f t"]:
    """STFT magnitude, centred with reflection, computed in float32."""
    spectrum = torch.stft(
        wave.float(),
        resolution.fft_samples,
        hop_length=resolution.hop_samples,
        window=torch.hann_window(resolution.fft_samples, device=wave.device),
        return_complex=True,
    )
    return (spectrum.real.square() + spectrum.imag.square() + POWER_FLOOR).sqrt()


def stft_loss(
    wave: Float[Tensor, "b s"],
    target: Float[Tensor, "b s"],
    *,
    resolutions: tuple[Resolution, ...] = RESOLUTIONS,
) -> Float[Tensor, ""]:
    """Spectral convergence plus log-magnitude distance, averaged over the resolutions.

    Convergence is the error's norm over the target's, both over the whole batch: taken clip by
    clip, the nearly silent ones would decide everything.
    Source: Yamamoto et al., 2020 (Parallel WaveGAN), sec. 2.2.
    """
    parts: list[Tensor] = []
    for resolution in resolutions:
        found, wanted = magnitude(wave, resolution), magnitude(target, resolution)
        # not the root of a sum of squares: its gradient at 0 is not finite
        convergence = _norm(found - wanted) / _norm(wanted)
        parts.append(convergence + functional.l1_loss(found.log(), wanted.log()))
    return torch.stack(parts).mean()
