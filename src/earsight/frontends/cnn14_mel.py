"""Log-mel spectrogram of PANNs' CNN14, for its 16 kHz and 32 kHz weights.

Source: Kong et al., "PANNs: large-scale pretrained audio neural networks", 2020, sec. V; official
repository qiuqiangkong/audioset_tagging_cnn.

Axes: b clips, s samples, t frames, m mel bands, f frequency bins.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError
from earsight.frontends.mel_filters import slaney_filters
from earsight.frontends.panns_mel import TABLE, TABLE_SHA256, decibel_mel
from earsight.frontends.stored_tables import load_table

HIGH_HZ_32K_ALTERNATIVE = 16000.0  # what one FAD package (gudgud96) uses instead of 14 kHz


@dataclass(frozen=True, kw_only=True, slots=True)
class Cnn14MelConfig:
    """Sizes of the spectrogram; the defaults are those of the 16 kHz weights."""

    rate_hz: int = 16000
    fft_samples: int = 512
    hop_samples: int = 160
    num_mels: int = 64
    low_hz: float = 50.0
    high_hz: float = 8000.0

    def __post_init__(self) -> None:
        """Refuse sizes that make no spectrogram."""
        if min(self.fft_samples, self.hop_samples, self.num_mels, self.rate_hz) < 1:
            raise ConfigError("CNN14 spectrogram: every size must be at least 1")
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ConfigError(
                f"CNN14 spectrogram: expected 0 <= low_hz < high_hz <= {self.rate_hz / 2:g}, got "
                f"{self.low_hz:g} and {self.high_hz:g}"
            )


def cnn14_16k() -> Cnn14MelConfig:
    """Spectrogram of the 16 kHz weights."""
    return Cnn14MelConfig()


def cnn14_32k() -> Cnn14MelConfig:
    """Spectrogram of the 32 kHz weights."""
    return Cnn14MelConfig(rate_hz=32000, fft_samples=1024, hop_samples=320, high_hz=14000.0)


@cache
def mel_filters(config: Cnn14MelConfig, device: torch.device) -> Float[Tensor, "m f"]:
    """Slaney bands of unit area: stored for the two published settings, computed for others."""
    if config in (cnn14_16k(), cnn14_32k()):
        table = load_table(TABLE, sha256=TABLE_SHA256)
        return table[f"filters_{config.rate_hz}"].to(device)
    return slaney_filters(
        rate_hz=config.rate_hz,
        fft_samples=config.fft_samples,
        num_mels=config.num_mels,
        low_hz=config.low_hz,
        high_hz=config.high_hz,
    ).to(device)


def log_mel(wave: Float[Tensor, "b s"], config: Cnn14MelConfig) -> Float[Tensor, "b t m"]:
    """Mel power in decibels, at least -100; 1 + s // hop frames.

    Input is mono at the config's rate. Raises InputError for a wave that is too short to be
    reflected at its border.
    """
    return decibel_mel(
        wave,
        mel_filters(config, wave.device),
        fft_samples=config.fft_samples,
        hop_samples=config.hop_samples,
    )
