"""Labelled clips of one split for classifiers: random crops to train on, whole clips to judge by.

A clip that is shorter than a crop is repeated, never filled with silence, which no class sounds
like. Spectrograms are in [0, 1].
Axes: b clips, m mel bands, t frames, n classes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus, Split
from earsight.data.mel_crops import CropSettings, draw_crop
from earsight.data.mel_store import MelStore
from earsight.errors import ConfigError, InputError
from earsight.frontends.specvqgan_mel import centre_crop


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledBatch:
    """Spectrograms of one length and their classes; `places` are their numbers in the split."""

    mel: Float[Tensor, "b m t"]
    labels: Int[Tensor, " b"]
    places: tuple[int, ...]


class LabelledClips:
    """The labelled clips of a split of a corpus.

    Spectrograms are kept in memory where they fit into `limit_bytes`. Raises InputError where no
    clip of the split has a label; `num_unlabelled` clips are left out.
    """

    def __init__(self, corpus: Corpus, split: Split, *, limit_bytes: int = 0) -> None:
        records = corpus.records(split)
        labelled = [record for record in records if record.class_index is not None]
        if not labelled:
            raise InputError(
                f"{corpus.name} has {len(records)} {split} clips and none with a class: a "
                "classifier needs labelled clips"
            )
        self.split, self.num_unlabelled = split, len(records) - len(labelled)
        self.num_classes = len(corpus.class_names)
        self.records: Sequence[ClipRecord] = labelled
        self.labels: Int[Tensor, " b"] = torch.tensor([int(r.class_index or 0) for r in labelled])
        self._store = MelStore(corpus, labelled, limit_bytes=limit_bytes)

    def __len__(self) -> int:
        return len(self.records)

    def counts(self) -> Int[Tensor, " n"]:
        """Number of clips of each class."""
        return torch.bincount(self.labels, minlength=self.num_classes)

    def crops(
        self,
        places: Sequence[int],
        *,
        num_frames: int,
        settings: CropSettings,
        generators: Sequence[torch.Generator],
    ) -> LabelledBatch:
        """A crop of each clip; what is random about one comes from its own generator."""
        refuse_mixtures(settings)
        mels = [
            _crop(self._store.mel(place), num_frames, settings, generator)
            for place, generator in zip(places, generators, strict=True)
        ]
        return LabelledBatch(
            mel=torch.stack(mels), labels=self.labels[list(places)], places=tuple(places)
        )

    def whole(
        self, places: Iterable[int], *, shortest: int, longest: int, batch: int
    ) -> Iterator[LabelledBatch]:
        """Clips as they are, at most `batch` of one length at a time, each once.

        Shorter ones than `shortest` are repeated up to it, of longer ones than `longest` the
        middle is taken.
        """
        waiting: dict[int, list[tuple[int, Tensor]]] = {}
        for place in places:
            mel = self._store.mel(place)
            if mel.shape[1] > longest:
                mel = centre_crop(mel, longest)
            mel = repeated(mel, max(shortest, mel.shape[1]))
            group = waiting.setdefault(mel.shape[1], [])
            group.append((place, mel))
            if len(group) == batch:
                yield self._batch(waiting.pop(mel.shape[1]))
        for group in waiting.values():
            yield self._batch(group)

    def _batch(self, group: Sequence[tuple[int, Tensor]]) -> LabelledBatch:
        places = [place for place, _ in group]
        return LabelledBatch(
            mel=torch.stack([mel for _, mel in group]),
            labels=self.labels[places],
            places=tuple(places),
        )


def repeated(mel: Float[Tensor, "m _"], num_frames: int) -> Float[Tensor, "m t"]:
    """The clip from its start, again and again, until `num_frames` frames are full.

    Raises InputError for a clip without frames.
    """
    if mel.shape[1] == 0:
        raise InputError("a clip without frames cannot be repeated")
    return mel.repeat(1, -(-num_frames // mel.shape[1]))[:, :num_frames]


def refuse_mixtures(settings: CropSettings) -> None:
    """Raise ConfigError for crops that join clips, whose classes may differ."""
    spliced = settings.changes is not None and settings.changes.splice_share > 0
    if settings.join_short or spliced:
        raise ConfigError(
            "a classifier's crops must be of one clip: set join_short to false, splice_share to 0"
        )


def _crop(
    mel: Float[Tensor, "m _"], num_frames: int, settings: CropSettings, generator: torch.Generator
) -> Float[Tensor, "m t"]:
    if mel.shape[1] < num_frames:
        # one more round, so that a random crop may begin anywhere in the clip
        spare = mel.shape[1] - 1 if settings.random else 0
        mel = repeated(mel, num_frames + spare)
    crop, _ = draw_crop(
        lambda _: mel, 0, num_clips=1, num_frames=num_frames, settings=settings, generator=generator
    )
    return crop
