"""A small corpus in memory for tests of recipes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Split
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, log_mel


class MadeCorpus:
    """Noise bursts with a motion track that moves with them; clips of uneven lengths."""

    def __init__(
        self,
        name: str,
        class_names: tuple[str, ...],
        *,
        num_clips: int = 4,
        num_frames: int = 130,
        kind: str | None = "motion",
        width: int = 2,
        seed: int = 0,
    ) -> None:
        self.name, self.class_names = name, class_names
        self._kind, self._width = kind, width
        self._rng = torch.Generator().manual_seed(seed)
        self._clips: dict[Split, list[ClipRecord]] = {"train": [], "valid": [], "test": []}
        self._waves: dict[str, Tensor] = {}
        splits: tuple[Split, ...] = ("train", "valid")
        for split in splits:
            for number in range(num_clips):
                self._add(split, number, num_frames - 16 * (number % 2))

    def _add(self, split: Split, number: int, num_frames: int) -> None:
        samples = num_frames * MEL_HOP_SAMPLES
        wave = 0.2 * torch.randn(samples, generator=self._rng)
        wave[samples // 3 : samples // 2] *= 0.001
        index = number % len(self.class_names) if self.class_names else None
        record = ClipRecord(
            id=f"{self.name}-{split}-{number}",
            split=split,
            class_index=index,
            class_name=None if index is None else self.class_names[index],
            seconds=samples / MEL_RATE_HZ,
            source=Path("made"),
        )
        self._clips[split].append(record)
        self._waves[record.id] = wave

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of a split."""
        return self._clips[split]

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Noise."""
        return self._waves[record.id]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """Its spectrogram."""
        wave = self._waves[record.id]
        mel = log_mel(wave[None], num_frames=None)[0]
        return mel[:, : len(wave) // MEL_HOP_SAMPLES]

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Rows that count up, so that a place in the clip can be told from its value."""
        if kind != self._kind:
            raise InputError(f"{self.name} has no {kind} features")
        count = round(record.seconds * 21.5)
        return torch.arange(1, count + 1)[:, None].expand(-1, self._width) / 100
