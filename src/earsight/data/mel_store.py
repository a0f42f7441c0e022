"""Spectrograms of many clips, kept in memory where they fit.

Axes: m mel bands, t frames.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.errors import EarsightError, InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, NUM_MELS

BYTES_PER_VALUE = 2  # float16


class MelStore:
    """Spectrograms of clips by number: read once as float16 where they fit, else at every use.

    Both give the same numbers: those of the clip as float16. `limit_bytes` is how much memory may
    be taken. Raises InputError where there are no clips; a clip that cannot be read is named, with
    its corpus.
    """

    def __init__(self, corpus: Corpus, records: Sequence[ClipRecord], *, limit_bytes: int) -> None:
        if not records:
            raise InputError(f"{corpus.name} has no clips to train on: check its splits")
        self.corpus, self.records = corpus, records
        self._kept: list[Tensor] | None = None
        if _expected_bytes(records) <= limit_bytes:
            self._kept = [self._read(index) for index in range(len(records))]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def in_memory(self) -> bool:
        """Whether the clips were read once and for all."""
        return self._kept is not None

    def mel(self, index: int) -> Float[Tensor, "m t"]:
        """Spectrogram of a clip in [0, 1], float32."""
        return (self._read(index) if self._kept is None else self._kept[index]).float()

    def _read(self, index: int) -> Float[Tensor, "m t"]:
        record = self.records[index]
        try:
            mel = self.corpus.mel(record)
        except (EarsightError, OSError, ValueError) as error:
            raise InputError(
                f"clip {record.id} of {self.corpus.name} cannot be read ({error}): prepare the "
                "corpus again, or take the clip out of its list"
            ) from error
        if mel.numel() == 0 or not bool(mel.isfinite().all()):
            raise InputError(
                f"clip {record.id} of {self.corpus.name} is empty or has values that are not "
                "finite: prepare it again, or take it out of its list"
            )
        return mel.to(torch.float16)


def _expected_bytes(records: Sequence[ClipRecord]) -> float:
    frames = sum(record.seconds for record in records) * MEL_RATE_HZ / MEL_HOP_SAMPLES
    return frames * NUM_MELS * BYTES_PER_VALUE
