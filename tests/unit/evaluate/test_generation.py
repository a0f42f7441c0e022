"""Which samples are wanted, how long they are, and what a model is told of a stored clip."""

from pathlib import Path

import pytest
import torch

from earsight.data.corpus import ClipRecord
from earsight.errors import InputError
from earsight.evaluate.clip_conditions import StoredRows
from earsight.evaluate.generation import GenerationSettings, frames_and_columns, wanted_files
from earsight.frontends.visual_features import condition_rows


def record(name: str, index: int | None) -> ClipRecord:
    return ClipRecord(
        id=name, split="test", class_index=index, class_name=None, seconds=10.0, source=Path("x")
    )


def test_ten_seconds_give_the_published_window_and_others_what_covers_them() -> None:
    assert frames_and_columns(860) == frames_and_columns(862) == (848, 53)
    assert frames_and_columns(345) == (345, 22)
    assert frames_and_columns(8) == (8, 1)
    assert frames_and_columns(1723) == (1723, 108)


def test_names_are_the_official_ones_and_never_shared(tmp_path: Path) -> None:
    files = wanted_files([record("dog/video_1", 2), record("rain", None)], tmp_path, 2)
    names = [str(file.mel.relative_to(tmp_path / "samples")) for file in files]
    assert names == [
        *("cls_2/video_1_sample_0.npy", "cls_2/video_1_sample_1.npy"),
        *("rain_sample_0.npy", "rain_sample_1.npy"),
    ]
    assert files[0].wave.name == "video_1_sample_0.wav"
    with pytest.raises(InputError, match="clips a/x and b/x would share"):
        wanted_files([record("a/x", 1), record("b/x", 1)], tmp_path, 1)


def test_stored_rows_are_picked_as_published_and_move_with_the_window() -> None:
    rows = torch.arange(430.0)[:, None]
    stored = StoredRows(rows, num_samples=5)
    assert stored.window(0)[:, 0].tolist() == [36, 78, 120, 163, 205]
    assert torch.equal(stored.window(53), condition_rows(rows[212:], 5))
    short = StoredRows(rows[:100], num_samples=5).window(0)[:, 0]
    assert short.tolist() == [36, 78, 0, 0, 0]


def test_counts_without_a_meaning_are_refused() -> None:
    with pytest.raises(InputError, match=r"samples \(0\)"):
        GenerationSettings(num_samples=0)
