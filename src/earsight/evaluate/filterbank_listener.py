"""Features without a network: level and spread of every mel band, which any network must beat.

Axes: b sounds, s samples, d features.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.frontends.kaldi_fbank import PUBLISHED, log_fbank
from earsight.generate.listeners import Hearing, Listener
from earsight.generate.load import usable_device
from earsight.generate.tagger import SoundTagger

NAME = "filterbank"
WINDOW_SECONDS = 10.0


class FilterbankListener(Listener):
    """Mean and deviation over time of each band of the log filterbank, without classes."""

    def __init__(self) -> None:
        self.rate_hz = PUBLISHED.rate_hz
        self.min_samples = PUBLISHED.window_samples
        self.window_samples = round(WINDOW_SECONDS * self.rate_hz)
        self.num_classes, self.labels, self.step_seconds = 0, "many", None

    def hear(self, wave: Float[Tensor, "b s"]) -> Hearing:
        """Twice as many features as there are bands."""
        bands = log_fbank(wave - wave.mean(dim=1, keepdim=True))
        spread = bands.std(dim=1, correction=0)
        return Hearing(torch.cat([bands.mean(dim=1), spread], dim=1), None)


def filterbank_tagger(device: str) -> SoundTagger:
    """The listener as `load_tagger` hands out networks."""
    return SoundTagger(
        FilterbankListener(),
        name=NAME,
        weights_sha256="none",
        class_names=(),
        device=usable_device(device),
    )
