"""Crops and whole clips of a classifier."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from earsight.data.corpus import ClipRecord, Split
from earsight.data.labelled_clips import LabelledClips, repeated
from earsight.data.mel_crops import CropSettings, LevelChanges
from earsight.errors import ConfigError, InputError


class Ramps:
    """Clips whose frames count up from 1 (in 1/1000), 5, 8 and 5 frames long, one unlabelled."""

    name = "ramps"
    class_names = ("low", "high")

    def __init__(self, labels: Sequence[int | None] = (0, 1, None, 1)) -> None:
        self.labels = labels

    def records(self, split: Split) -> Sequence[ClipRecord]:
        return [
            ClipRecord(
                id=str(i),
                split=split,
                class_index=label,
                class_name=None if label is None else self.class_names[label],
                seconds=1.0,
                source=Path("nowhere"),
            )
            for i, label in enumerate(self.labels)
        ]

    def mel(self, record: ClipRecord) -> torch.Tensor:
        length = (5, 8, 3, 5)[int(record.id)]
        return (torch.arange(length) + 1.0).expand(80, -1) / 1000

    def wave(self, record: ClipRecord) -> torch.Tensor:
        raise AssertionError

    def features(self, record: ClipRecord, kind: str) -> torch.Tensor:
        raise AssertionError


def frames(mel: torch.Tensor) -> list[int]:
    return (mel[0] * 1000).round().int().tolist()


def test_clips_without_a_class_are_left_out() -> None:
    clips = LabelledClips(Ramps(), "train", limit_bytes=10**6)
    assert (len(clips), clips.num_unlabelled) == (3, 1)
    assert clips.labels.tolist() == [0, 1, 1]
    assert clips.counts().tolist() == [1, 2]
    with pytest.raises(InputError, match="2 train clips and none with a class"):
        LabelledClips(Ramps((None, None)), "train")


def test_short_clips_are_repeated_and_long_ones_cropped_in_the_middle() -> None:
    clips = LabelledClips(Ramps(), "train")
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    plain = CropSettings(random=False)
    batch = clips.crops([0, 1], num_frames=6, settings=plain, generators=generators)
    assert frames(batch.mel[0]) == [1, 2, 3, 4, 5, 1]
    assert frames(batch.mel[1]) == [2, 3, 4, 5, 6, 7]
    assert batch.labels.tolist() == [0, 1]


def test_random_crops_of_short_clips_begin_anywhere_and_never_go_silent() -> None:
    clips = LabelledClips(Ramps(), "train")
    starts: set[int] = set()
    for seed in range(40):
        generators = [torch.Generator().manual_seed(seed)]
        batch = clips.crops([0], num_frames=7, settings=CropSettings(), generators=generators)
        found = frames(batch.mel[0])
        assert all(b == a % 5 + 1 for a, b in pairwise(found))
        starts.add(found[0])
    assert starts == {1, 2, 3, 4, 5}


def test_whole_clips_come_once_in_batches_of_one_length() -> None:
    clips = LabelledClips(Ramps(), "valid")
    batches = list(clips.whole(range(3), shortest=2, longest=6, batch=8))
    assert sorted(batch.places for batch in batches) == [(0, 2), (1,)]
    by_place = {batch.places: batch for batch in batches}
    assert frames(by_place[1,].mel[0]) == [2, 3, 4, 5, 6, 7]
    assert by_place[0, 2].labels.tolist() == [0, 1]
    alone = list(clips.whole(range(3), shortest=2, longest=6, batch=1))
    assert sorted(batch.places for batch in alone) == [(0,), (1,), (2,)]
    long = next(iter(clips.whole([0], shortest=9, longest=20, batch=1)))
    assert frames(long.mel[0]) == [1, 2, 3, 4, 5, 1, 2, 3, 4]


def test_crops_of_several_clips_are_refused() -> None:
    clips = LabelledClips(Ramps(), "train")
    for settings in (CropSettings(join_short=True), CropSettings(changes=LevelChanges())):
        with pytest.raises(ConfigError, match="must be of one clip"):
            clips.crops([0], num_frames=4, settings=settings, generators=[torch.Generator()])
    with pytest.raises(InputError, match="without frames"):
        repeated(torch.zeros(80, 0), 4)
