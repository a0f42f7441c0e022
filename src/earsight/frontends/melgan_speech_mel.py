"""Log-mel spectrogram of the original speech MelGAN, which is not SpecVQGAN's.

Weights trained on one must not be fed the other: the bands reach from 0 to 11,025 Hz, values are
log10 without any scaling, and the border is 384 samples.
Source: MelGAN, sec. 3; official repository descriptinc/melgan-neurips, Audio2Mel.

Axes: b clips, s samples, m mel bands, t frames, f frequency bins.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError
from earsight.frontends.stored_tables import load_table

TABLE = "melgan_speech_mel.npz"
TABLE_SHA256 = "c2861463741a8ff16eea8d7edbb40d17fe157714362e6ff2e6f25c70f14f8079"

RATE_HZ = 22050
HOP_SAMPLES = 256
FFT_SAMPLES = 1024
NUM_MELS = 80
MEL_FLOOR = 1e-5
BORDER_SAMPLES = (FFT_SAMPLES - HOP_SAMPLES) // 2


@cache
def mel_filters(device: torch.device) -> Float[Tensor, "m f"]:
    """The stored filter matrix: 80 Slaney bands of unit area from 0 to 11,025 Hz, 513 bins."""
    return load_table(TABLE, sha256=TABLE_SHA256)["filters"].to(device)


def speech_log_mel(wave: Float[Tensor, "b s"]) -> Float[Tensor, "b m t"]:
    """log10 of the mel amplitude, at least -5; s // 256 frames.

    Input is mono at 22050 Hz in [-1, 1]. Raises InputError for a wave of 384 samples or fewer,
    whose border cannot be reflected.
    """
    if wave.shape[1] <= BORDER_SAMPLES:
        raise InputError(f"wave has {wave.shape[1]} samples: more than {BORDER_SAMPLES} are needed")
    padded = functional.pad(wave.float()[:, None], (BORDER_SAMPLES, BORDER_SAMPLES), mode="reflect")
    spectrum = torch.stft(
        padded[:, 0],
        FFT_SAMPLES,
        hop_length=HOP_SAMPLES,
        window=torch.hann_window(FFT_SAMPLES, periodic=True, device=wave.device),
        center=False,
        return_complex=True,
    )
    mel = mel_filters(wave.device) @ spectrum.abs()
    return torch.log10(mel.clamp(min=MEL_FLOOR))
