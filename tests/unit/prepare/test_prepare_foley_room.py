"""Folders of rendered clips: whole, resumable, the same from any number of processes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earsight.data.foley_room.clip import PictureSettings
from earsight.data.foley_room.clip_files import read_truth
from earsight.data.foley_room.world import FoleyRoomSettings, foley_clip
from earsight.errors import InputError
from earsight.media.frame_rules import EveryFrame
from earsight.media.video import probe, read_frames
from earsight.prepare.foley_room import render_foley_room, split_counts

SETTINGS = FoleyRoomSettings(
    picture=PictureSettings(width=48, height=48, clip_seconds=1.0, exposures=1)
)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_clips_are_written_as_they_are(tmp_path: Path) -> None:
    results = list(render_foley_room(tmp_path, num_clips=10, seed=4, settings=SETTINGS))
    assert {result.outcome for result in results} == {"rendered"}
    video = tmp_path / "clips" / "test" / "test_000000.mp4"
    clip = foley_clip(4, "test", 0, SETTINGS)
    assert read_truth(video) == clip.truth
    wave, rate_hz = soundfile.read(video.with_suffix(".wav"), dtype="float32")
    assert rate_hz == 22050
    assert np.abs(wave - clip.sound).max() <= 1 / 32768
    info = probe(video)
    assert info.has_audio
    assert float(info.duration_seconds) == pytest.approx(1.0, abs=0.06)
    frames = read_frames(video, rule=EveryFrame()).pixels.numpy().astype(float)
    drawn = np.stack(list(clip.frames())).astype(float)
    assert frames.shape == drawn.shape
    assert np.abs(frames - drawn).mean() < 4
    told = json.loads((tmp_path / "foley_room.json").read_text())
    assert told["seed"] == 4
    assert told["clips"] == {"train": 8, "valid": 1, "test": 1}
    assert told["settings"]["rate_hz"] == 22050


def test_a_run_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    list(render_foley_room(folder, num_clips=3, settings=SETTINGS))
    before = contents(folder)
    # as a killed run leaves it: one clip without truth, another one under a passing name
    (folder / "clips/train/train_000001.truth.json").unlink()
    (folder / "clips/train/.train_000002-abc.mp4").write_bytes(b"half")
    results = list(render_foley_room(folder, num_clips=3, settings=SETTINGS, resume=True))
    assert {one.id: one.outcome for one in results} == {
        "train_000000": "kept", "train_000001": "rendered", "train_000002": "kept",
    }  # fmt: skip
    assert contents(folder) == before


def test_processes_make_the_same_files_and_shorter_runs_leave_nothing(tmp_path: Path) -> None:
    list(render_foley_room(tmp_path / "one", num_clips=2, settings=SETTINGS))
    other = replace(SETTINGS, classes=("bell",))
    list(render_foley_room(tmp_path / "two", num_clips=4, settings=other))
    results = render_foley_room(
        tmp_path / "two", num_clips=2, settings=SETTINGS, workers=2, overwrite=True
    )
    assert len(list(results)) == 2
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_failure_is_named_and_the_others_are_made(tmp_path: Path) -> None:
    (tmp_path / "clips" / "train" / "train_000000.wav").mkdir(parents=True)
    results = list(render_foley_room(tmp_path, num_clips=2, settings=SETTINGS))
    assert [one.outcome for one in results] == ["failed", "rendered"]
    assert "train_000000" in results[0].reason


def test_refusals(tmp_path: Path) -> None:
    list(render_foley_room(tmp_path, num_clips=1, settings=SETTINGS))
    with pytest.raises(InputError, match="exists already"):
        render_foley_room(tmp_path, num_clips=1, settings=SETTINGS)
    with pytest.raises(InputError, match="holds clips with another seed: go on with the same"):
        render_foley_room(tmp_path, num_clips=1, seed=1, settings=SETTINGS, resume=True)
    with pytest.raises(InputError, match="must be 1 or more, got 0 and 1"):
        render_foley_room(tmp_path, num_clips=0, settings=SETTINGS)


def test_splits_add_up() -> None:
    assert split_counts(1000) == {"train": 800, "valid": 100, "test": 100}
    assert all(sum(split_counts(number).values()) == number for number in range(1, 60))
    assert split_counts(1000, num_test=7) == {"train": 800, "valid": 100, "test": 7}
    with pytest.raises(InputError, match="0 or more, got -1"):
        split_counts(10, num_test=-1)
