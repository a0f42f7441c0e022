"""Crops, masks and joined corpora, on clips of uneven lengths."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earsight.data import prepared_layout as layout
from earsight.data.batching import (
    UNLABELLED,
    column_mask,
    crop_or_pad,
    crop_start,
    load_batch,
    row_of_frame,
    rows_of_frames,
)
from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.joined import JoinedCorpus
from earsight.data.open_corpus import open_corpus
from earsight.errors import InputError


def prepared(folder: Path, clips: dict[str, tuple[int, str | None]], classes: list[str]) -> Path:
    """Clips by name: number of frames and class. Frame t is t / 1000, feature row i is i."""
    records: list[ClipRecord] = []
    for name, (frames, class_name) in clips.items():
        mel = np.tile(np.arange(frames, dtype=np.float16) / 1000, (80, 1))
        rows = np.arange(round(frames / 4), dtype=np.float16)[:, None].repeat(2, 1)
        layout.save_array(layout.mel_path(folder, name), mel)
        layout.save_array(layout.feature_path(folder, "motion", name), rows)
        index = None if class_name is None else classes.index(class_name)
        source = folder / "gone.mp4"
        records.append(
            ClipRecord(
                id=name,
                split="train",
                class_index=index,
                class_name=class_name,
                seconds=frames * 256 / 22050,
                source=source,
            )
        )
    card: dict[str, Any] = {
        "name": folder.name,
        "kind": "media",
        "class_names": classes,
        "feature_kinds": ["motion"],
    }
    layout.complete(folder, records, card)
    return folder


@pytest.fixture
def uneven(tmp_path: Path) -> Corpus:
    clips = {"long": (860, "b"), "short": (37, None)}
    return open_corpus(prepared(tmp_path / "uneven", clips, ["a", "b"]))


def test_published_crop() -> None:
    assert crop_start(860, 848) == 6
    assert (row_of_frame(6), rows_of_frames(848)) == (1, 212)


def test_short_clips_are_masked_not_silently_filled(uneven: Corpus) -> None:
    batch = load_batch(uneven, uneven.records("train"), num_frames=848, kinds=["motion"])
    assert batch.starts.tolist() == [6, 0]
    assert batch.class_index.tolist() == [1, UNLABELLED]
    assert batch.frame_mask.sum(1).tolist() == [848, 37]
    assert batch.mel[0, 0, 0] == pytest.approx(0.006, abs=1e-5)
    assert not batch.mel[1, :, 37:].any()
    assert batch.features["motion"][0, :, 0].tolist() == list(range(1, 213))
    assert batch.row_masks["motion"].sum(1).tolist() == [212, 9]
    assert column_mask(batch.frame_mask).sum(1).tolist() == [53, 2]


def test_an_items_crop_is_its_own(uneven: Corpus) -> None:
    long, short = uneven.records("train")

    def draw(seeds: list[int], records: list[ClipRecord]) -> list[int]:
        rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
        return load_batch(uneven, records, num_frames=160, rngs=rngs).starts.tolist()

    alone = draw([5], [long])
    assert draw([9, 5, 1], [short, long, short]) == [0, *alone, 0]
    starts = {crop_start(861, 860, torch.Generator().manual_seed(seed)) for seed in range(16)}
    assert starts == {0, 1}


def test_a_crop_outside_is_refused() -> None:
    with pytest.raises(InputError, match="from frame 5 on, of a clip of 5 frames"):
        crop_or_pad(torch.zeros(80, 5), 4, 5)


def test_joined_corpora_share_classes(tmp_path: Path) -> None:
    first = open_corpus(prepared(tmp_path / "x", {"c": (20, "rain")}, ["dog", "rain"]))
    second = open_corpus(
        prepared(tmp_path / "y" / "x", {"c": (30, "rain"), "d": (40, "bell")}, ["bell", "rain"])
    )
    joined = JoinedCorpus([first, second])
    assert isinstance(joined, Corpus)
    assert joined.class_names == ("dog", "rain", "bell")
    clips = joined.records("train")
    assert [(clip.id, clip.class_index) for clip in clips] == [
        ("x-0/c", 1),
        ("x-1/c", 1),
        ("x-1/d", 2),
    ]
    assert [joined.mel(clip).shape[1] for clip in clips] == [20, 30, 40]
    assert joined.records("valid") == []


def test_a_folder_of_media_has_to_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match=r"run 'earsight prepare .* --output DIR'"):
        open_corpus(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        open_corpus(tmp_path / "none")
