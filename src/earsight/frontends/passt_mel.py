"""Log-mel spectrogram of PaSST, as in evaluation: no random filter edges, no masks.

Source: Koutini et al., "Efficient training of audio transformers with patchout", 2022, sec. 4;
official repositories kkoutini/PaSST and kkoutini/passt_hear21.

Axes: b clips, s samples, m mel bands, t frames, f frequency bins.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.stored_tables import load_table

TABLE = "passt_mel.npz"
TABLE_SHA256 = "bb33e644306bc688dea4e2eb9e6ad4583408b575bc0c53f867098548349bf132"

RATE_HZ = 32000
HOP_SAMPLES = 320
WINDOW_SAMPLES = 800
FFT_SAMPLES = 1024
NUM_MELS = 128
CLIP_SAMPLES = 10 * RATE_HZ
PRE_EMPHASIS = 0.97
MEL_OFFSET = 1e-5
SHIFT, SCALE = 4.5, 5.0
MIN_SAMPLES = FFT_SAMPLES // 2 + 2  # the border is reflected after one sample went


@cache
def mel_filters(device: torch.device) -> Float[Tensor, "m f"]:
    """The stored filter matrix: 128 Kaldi bands from 0 to 15 kHz, 513 bins of which the last is 0.

    15 kHz is the middle of the range that training drew the upper edge from.
    """
    return load_table(TABLE, sha256=TABLE_SHA256)["filters"].to(device)


def log_mel(wave: Float[Tensor, "b s"]) -> Float[Tensor, "b m t"]:
    """Natural log of the mel power, moved by 4.5 and over 5; 1 + (s - 1) // 320 frames.

    Input is mono at 32 kHz; 10 s give 1000 frames. Raises InputError for a wave that is too short
    to be reflected at its border.
    """
    if wave.shape[1] < MIN_SAMPLES:
        raise InputError(f"wave has {wave.shape[1]} samples: at least {MIN_SAMPLES} are needed")
    wave = wave.float()
    emphasised = wave[:, 1:] - PRE_EMPHASIS * wave[:, :-1]
    spectrum = torch.stft(
        emphasised,
        FFT_SAMPLES,
        hop_length=HOP_SAMPLES,
        win_length=WINDOW_SAMPLES,
        window=torch.hann_window(WINDOW_SAMPLES, periodic=False, device=wave.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    mel = torch.log(mel_filters(wave.device) @ power + MEL_OFFSET)
    return (mel + SHIFT) / SCALE
