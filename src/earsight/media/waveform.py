"""A sound in memory.

Axes: c channels, s samples. Samples are float32 in [-1, 1].
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.media.guard import MAX_RATE_HZ, MIN_RATE_HZ


@dataclass(frozen=True, slots=True)
class Waveform:
    """A sound, or a piece of one, with its sample rate."""

    samples: Float[Tensor, "c s"]
    rate_hz: int

    def __post_init__(self) -> None:
        refuse_rate(self.rate_hz)

    @property
    def num_samples(self) -> int:
        """Samples in each channel."""
        return self.samples.shape[1]

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return self.samples.shape[0]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.rate_hz

    def mono(self) -> "Waveform":
        """Plain mean over channels.

        Not the mix of FFmpeg's float resampler, which is sqrt(2) louder for stereo.
        """
        return Waveform(self.samples.mean(dim=0, keepdim=True), self.rate_hz)


def refuse_rate(rate_hz: int) -> None:
    """Raise InputError for a sample rate that no sound has."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(f"sample rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, got {rate_hz}")
