"""Log-mel spectrograms of a corpus of short sounds, all of one length.

Axes: n clips, m mel bands, t frames.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.records import Record
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, fit_samples, log_mel
from earsight.media.audio import read_audio


def read_mels(records: Iterable[Record], *, clip_seconds: float) -> Float[Tensor, "n m t"]:
    """Spectrograms in [0, 1] of mono clips, cut or zero-padded to `clip_seconds`.

    The last frame, of which the border makes up half, is left out. Raises InputError where there
    are no records, and MediaError for a file that cannot be read.
    """
    num_samples = round(clip_seconds * MEL_RATE_HZ)
    mels: list[Tensor] = []
    for record in records:
        wave = read_audio(record.path, rate_hz=MEL_RATE_HZ, mono=True).samples
        mel = log_mel(fit_samples(wave, num_samples), num_frames=None)
        mels.append(mel[:, :, : num_samples // MEL_HOP_SAMPLES])
    if not mels:
        raise InputError("no sounds to read: check the corpus and its folds")
    return torch.cat(mels)
