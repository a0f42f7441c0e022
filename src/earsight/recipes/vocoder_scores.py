"""How far waves made from their own spectrograms are from them.

Axes: s samples, b waves, m mel bands, t frames.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.frontends.griffin_lim import mel_to_wave
from earsight.frontends.specvqgan_mel import log_mel
from earsight.models.melgan.model import MelGANGenerator


@torch.inference_mode()
def mel_error(model: MelGANGenerator, held_out: Sequence[Float[Tensor, " _"]]) -> float:
    """Mean absolute log-mel error, on the [0, 1] scale, of waves made from their true mel."""
    device = next(model.parameters()).device
    errors: list[float] = []
    for wave in held_out:
        mel = log_mel(wave[None], num_frames=None)
        errors.append(_distance(model(mel.to(device))[:, 0].cpu(), mel))
    return sum(errors) / len(errors)


@torch.inference_mode()
def griffin_lim_error(held_out: Sequence[Float[Tensor, " _"]], *, seeds: Sequence[int]) -> float:
    """`mel_error` of Griffin-Lim with 32 iterations; one seed per clip draws its start phases."""
    errors: list[float] = []
    for wave, seed in zip(held_out, seeds, strict=True):
        mel = log_mel(wave[None], num_frames=None)
        rebuilt = mel_to_wave(mel, generators=[torch.Generator().manual_seed(seed)])
        errors.append(_distance(rebuilt, mel))
    return sum(errors) / len(errors)


def _distance(wave: Float[Tensor, "b s"], mel: Float[Tensor, "b m t"]) -> float:
    found = log_mel(wave, num_frames=None)[:, :, : mel.shape[2]]
    return float((found - mel).abs().mean())
