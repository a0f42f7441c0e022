"""Log-mel spectrogram of HTS-AT: that of PANNs' 32 kHz networks, at any hop.

Source: Chen et al., "HTS-AT: a hierarchical token-semantic audio transformer", 2022, sec. 3.1;
official repository RetroCirce/HTS-Audio-Transformer.

Axes: b clips, s samples, t frames, m mel bands, f frequency bins.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError
from earsight.frontends.mel_filters import slaney_filters
from earsight.frontends.panns_mel import TABLE, TABLE_SHA256, decibel_mel
from earsight.frontends.stored_tables import load_table


@dataclass(frozen=True, kw_only=True, slots=True)
class HtsatMelConfig:
    """Sizes of the spectrogram; the defaults are those of the AudioSet weights.

    Bands above half the rate are allowed, as the Speech Commands weights have them: they hold
    silence (-100 dB).
    """

    rate_hz: int = 32000
    fft_samples: int = 1024
    hop_samples: int = 320
    num_mels: int = 64
    low_hz: float = 50.0
    high_hz: float = 14000.0

    def __post_init__(self) -> None:
        """Refuse sizes that make no spectrogram."""
        if min(self.fft_samples, self.hop_samples, self.num_mels, self.rate_hz) < 1:
            raise ConfigError("HTS-AT spectrogram: every size must be at least 1")
        if not 0 <= self.low_hz < self.high_hz:
            raise ConfigError(
                f"HTS-AT spectrogram: expected 0 <= low_hz < high_hz, got {self.low_hz:g} and "
                f"{self.high_hz:g}"
            )

    @property
    def frames_per_second(self) -> float:
        """Frames in a second of sound."""
        return self.rate_hz / self.hop_samples


def audioset() -> HtsatMelConfig:
    """Spectrogram of the AudioSet and ESC-50 weights: 32 kHz, 10 ms."""
    return HtsatMelConfig()


def speech_commands() -> HtsatMelConfig:
    """Spectrogram of the Speech Commands weights: 16 kHz with the bands of 32 kHz."""
    return HtsatMelConfig(rate_hz=16000, hop_samples=160)


def coarse(config: HtsatMelConfig, factor: int) -> HtsatMelConfig:
    """The same spectrogram with a hop `factor` times as long, for coarse-to-fine training."""
    return replace(config, hop_samples=config.hop_samples * factor)


@cache
def mel_filters(config: HtsatMelConfig, device: torch.device) -> Float[Tensor, "m f"]:
    """Slaney bands of unit area: stored for the published setting, computed for others."""
    if replace(config, hop_samples=1) == replace(audioset(), hop_samples=1):
        return load_table(TABLE, sha256=TABLE_SHA256)["filters_32000"].to(device)
    return slaney_filters(
        rate_hz=config.rate_hz,
        fft_samples=config.fft_samples,
        num_mels=config.num_mels,
        low_hz=config.low_hz,
        high_hz=config.high_hz,
    ).to(device)


def log_mel(
    wave: Float[Tensor, "b s"], config: HtsatMelConfig | None = None
) -> Float[Tensor, "b t m"]:
    """Mel power in decibels, at least -100; 1 + s // hop frames (10 s: 1001 as published).

    Input is mono at the config's rate (by default 32 kHz). Raises InputError for a wave that is
    too short to be reflected at its border.
    """
    config = config or audioset()
    return decibel_mel(
        wave,
        mel_filters(config, wave.device),
        fft_samples=config.fft_samples,
        hop_samples=config.hop_samples,
    )
