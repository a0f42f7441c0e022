"""Log-mel examples of VGGish: 96 frames of 64 bands from every 0.96 s, in double precision.

Source: Hershey et al., "CNN architectures for large-scale audio classification", 2017; official
repository tensorflow/models (audioset/vggish), and harritaylor/torchvggish for the PyTorch weights.

Axes: b clips, s samples, e examples, t frames, m mel bands, f frequency bins.
"""

from functools import cache
from typing import cast

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.stored_tables import load_table

TABLE = "vggish_mel.npz"
TABLE_SHA256 = "fb497fa183663f9d77bd0315dd08431627a21b4d7636cb54fcc198ae9516dd5d"

RATE_HZ = 16000
HOP_SAMPLES = 160
WINDOW_SAMPLES = 400
FFT_SAMPLES = 512
NUM_MELS = 64
EXAMPLE_FRAMES = 96
EXAMPLE_SAMPLES = WINDOW_SAMPLES + (EXAMPLE_FRAMES - 1) * HOP_SAMPLES
MEL_OFFSET = 0.01


@cache
def mel_filters(device: torch.device) -> Float[Tensor, "m f"]:
    """The stored filter matrix: 64 HTK bands from 125 to 7500 Hz, straight in mel, no area norm."""
    filters = load_table(TABLE, sha256=TABLE_SHA256)["filters"]
    return filters.to(device=device, dtype=_precision(device))


def log_mel_examples(wave: Float[Tensor, "b s"]) -> Float[Tensor, "b e t m"]:
    """Log-mel examples side by side, float32; frames after the last whole example are dropped.

    Input is mono at 16 kHz, nothing is padded. Raises InputError for a wave that holds no example.
    """
    num_samples = wave.shape[1]
    if num_samples < EXAMPLE_SAMPLES:
        raise InputError(
            f"wave has {num_samples} samples, one VGGish example needs {EXAMPLE_SAMPLES} "
            f"({EXAMPLE_SAMPLES / RATE_HZ:g} s at {RATE_HZ} Hz): use a longer sound or pad it"
        )
    num_frames = 1 + (num_samples - WINDOW_SAMPLES) // HOP_SAMPLES
    num_frames -= num_frames % EXAMPLE_FRAMES
    precise = wave.to(_precision(wave.device))
    frames = precise.unfold(1, WINDOW_SAMPLES, HOP_SAMPLES)[:, :num_frames]
    window = torch.hann_window(
        WINDOW_SAMPLES, periodic=True, dtype=precise.dtype, device=wave.device
    )
    spectrum = cast(Tensor, torch.fft.rfft(frames * window, n=FFT_SAMPLES)).abs()
    mel = torch.log(spectrum @ mel_filters(wave.device).mT + MEL_OFFSET)
    return rearrange(mel, "b (e t) m -> b e t m", t=EXAMPLE_FRAMES).float()


def _precision(device: torch.device) -> torch.dtype:
    """Double, as published; Apple's GPU has none, there single must do."""
    return torch.float32 if device.type == "mps" else torch.float64
