"""Names pair up as in the official evaluation; arrays and folders that do not fit are named."""

from pathlib import Path

import numpy as np
import pytest

from earsight.data.corpora.vas import CLASS_NAMES
from earsight.errors import InputError
from earsight.evaluate.sound_sets import (
    clip_stem,
    list_sounds,
    open_set,
    open_sets,
    read_mel,
    sample_index,
)
from earsight.evaluate.specvqgan_generation import pairs


def put(path: Path, num_frames: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((80, num_frames), 0.5, np.float64))
    return path


def test_the_key_is_the_stem_without_mel_up_to_sample() -> None:
    assert clip_stem(Path("-Qowmc0P9ic_34000_44000_mel.npy")) == "-Qowmc0P9ic_34000_44000"
    assert clip_stem(Path("-Qowmc0P9ic_34000_44000_sample_12.npy")) == "-Qowmc0P9ic_34000_44000"
    assert clip_stem(Path("video_00042_mel_sample_3.npy")) == "video_00042"
    assert sample_index(Path("video_00042_mel_sample_3.npy")) == 3


def test_vas_class_folders_become_names_on_both_sides(tmp_path: Path) -> None:
    real, fake = tmp_path / "features", tmp_path / "samples"
    for name in CLASS_NAMES:
        put(real / name / "melspec_10s_22050hz" / "video_00001_mel.npy")
    put(fake / "VAS_validation" / "cls_3" / "video_00001_mel_sample_0.npy")
    put(fake / "VAS_validation" / "cls_7" / "video_00001_mel_sample_99.npy")
    real_set, fake_set = open_sets(real, fake)
    assert len(real_set.keys) == len(CLASS_NAMES)
    assert [file.key for file in fake_set.files] == ["drum/video_00001", "sneeze/video_00001"]
    rows, alone = pairs(real_set.keys, [file.key for file in fake_set.files])
    assert [real_set.keys[r] for r, _ in rows] == ["drum/video_00001", "sneeze/video_00001"]
    assert alone == []


def test_class_folders_stay_out_of_unique_names(tmp_path: Path) -> None:
    put(tmp_path / "real" / "ab_mel.npy")
    put(tmp_path / "fake" / "cls_179" / "ab_sample_0.npy")
    real, fake = open_sets(tmp_path / "real", tmp_path / "fake")
    assert real.keys == fake.keys == ("ab",)


def test_a_spectrogram_stands_for_the_sound_beside_it(tmp_path: Path) -> None:
    put(tmp_path / "a_sample_0.npy")
    (tmp_path / "a_sample_0.wav").write_bytes(b"")
    (tmp_path / "b_sample_0.flac").write_bytes(b"")
    (tmp_path / ".hidden.wav").write_bytes(b"")
    assert [path.name for path in list_sounds(tmp_path)] == ["a_sample_0.npy", "b_sample_0.flac"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no sounds"):
        open_set(tmp_path)
    np.save(tmp_path / "x.npy", np.zeros((64, 10), np.float32))
    with pytest.raises(InputError, match=r"expected floating point numbers of shape \(80, frames"):
        read_mel(tmp_path / "x.npy")
    np.save(tmp_path / "y.npy", np.full((80, 10), np.nan, np.float32))
    with pytest.raises(InputError, match="holds NaN"):
        read_mel(tmp_path / "y.npy")


def test_real_clips_occur_once_and_something_must_pair() -> None:
    with pytest.raises(InputError, match="1 real clips occur twice, first a"):
        pairs(["a", "a"], ["a"])
    with pytest.raises(InputError, match="real names are like 'a', generated ones like 'b'"):
        pairs(["a"], ["b"])
    rows, alone = pairs(["a", "b"], ["b", "c", "b"])
    assert rows == [(1, 0), (1, 2)]
    assert [left.name for left in alone] == ["c"]
