"""What the spectrograms of PANNs and HTS-AT share: power in mel bands, in decibels.

Axes: b clips, s samples, t frames, m mel bands, f frequency bins.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError

TABLE = "cnn14_mel.npz"  # HTS-AT's published matrix is that of PANNs at 32 kHz
TABLE_SHA256 = "2d8c0a89b097a8d4c9b8644a9acecd86467b4c58c0a7eb1fdb6f9223d31cd398"
POWER_FLOOR = 1e-10


def decibel_mel(
    wave: Float[Tensor, "b s"],
    filters: Float[Tensor, "m f"],
    *,
    fft_samples: int,
    hop_samples: int,
) -> Float[Tensor, "b t m"]:
    """Mel power in decibels, at least -100; 1 + s // hop frames.

    Raises InputError for a wave that is too short to be reflected at its border.
    """
    border = fft_samples // 2
    if wave.shape[1] <= border:
        raise InputError(f"wave has {wave.shape[1]} samples: more than {border} are needed")
    spectrum = torch.stft(
        wave.float(),
        fft_samples,
        hop_length=hop_samples,
        window=torch.hann_window(fft_samples, periodic=True, device=wave.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return 10 * torch.log10((filters @ power).mT.clamp(min=POWER_FLOOR))
