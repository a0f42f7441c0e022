"""Waves that golden cases describe in words."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.parity import fill
from earsight.parity.cases import Case

SWEEP = (
    "float64: t=arange(n)/sr; x = 0.3 sin(2 pi (220 t + 180 t^2)) + 0.2 sin(2 pi 440 t) "
    "exp(-3 (t mod 1)) + 0.02 * fill.normal(seed, 'noise', [n]) + 0.05; cast to float32"
)


def described_wave(case: Case, name: str) -> Float[Tensor, "1 s"]:
    """The wave under the input `name`; InputError for words that mean nothing here."""
    return wave_from(case.seed, fill.table(fill.table(case.spec["inputs"])[name]))


def wave_from(seed: int, recipe: Mapping[str, Any]) -> Float[Tensor, "1 s"]:
    """A wave from `waveform` (words), `n` and `sr`; InputError for words that mean nothing here."""
    num_samples, rate_hz = int(recipe["n"]), int(recipe["sr"])
    if recipe["waveform"] == "zeros":
        return torch.zeros(1, num_samples)
    if recipe["waveform"] != SWEEP:
        raise InputError(f"no rule for the waveform {recipe['waveform']!r}")
    time = np.arange(num_samples) / rate_hz
    turn = 2 * math.pi
    wave = 0.3 * np.sin(turn * (220 * time + 180 * time**2))
    wave += 0.2 * np.sin(turn * 440 * time) * np.exp(-3 * (time % 1))
    wave += 0.02 * fill.normal(seed, "noise", [num_samples]) + 0.05
    return torch.as_tensor(wave.astype(np.float32))[None]
