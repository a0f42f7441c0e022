"""Training of the image tower: targets from the truth, exact resuming, a folder that opens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from earsight.checkpoints.native import read_folder
from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.foley_room.clip import ClipTruth, PictureSettings, SoundEvent
from earsight.data.foley_room.world import FoleyRoomSettings
from earsight.data.open_corpus import open_corpus
from earsight.generate.load import open_look
from earsight.prepare.corpus import prepare_corpus
from earsight.prepare.foley_room import render_foley_room
from earsight.recipes import foley_sight
from earsight.recipes.foley_sight import made_strange, tiny, train
from earsight.recipes.sight_clips import events, levels, read_clips
from earsight.training.optim import update
from earsight.training.rundir import RunDir

TRUTH = ClipTruth(
    classes=("drum",),
    fps=43.0,
    events=(SoundEvent(time_seconds=5 / 21.5, sound_class="drum", impact_speed=1.0),),
    visibility=(1.0,) * 40,
    loudness=(0.3,) * 20 + (0.0003,) * 20,
)


def test_targets_are_at_the_frames_they_belong_to() -> None:
    bump = events(TRUTH, 20)
    assert bump.argmax() == 5
    assert bump[5] == pytest.approx(1.0)
    assert bump[8] < 0.01
    level = levels(TRUTH, 20)
    assert level[:10].tolist() == pytest.approx([1.0] * 10)
    assert level[10:].tolist() == pytest.approx([0.0] * 10, abs=1e-6)


def test_strange_pictures_keep_their_pixels_and_lose_their_places() -> None:
    pictures = torch.arange(3 * 16 * 16).remainder(256).to(torch.uint8).reshape(1, 3, 16, 16)
    rng = torch.Generator().manual_seed(0)
    strange = made_strange(pictures, rng)
    assert not torch.equal(strange, pictures)
    same = torch.equal(strange.flatten().sort().values, pictures.flatten().sort().values)
    inverted = 255 - strange
    assert same or torch.equal(inverted.flatten().sort().values, pictures.flatten().sort().values)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("room")
    settings = FoleyRoomSettings(picture=PictureSettings(clip_seconds=1.0, exposures=1))
    for clip in render_foley_room(folder / "clips", num_clips=20, seed=3, settings=settings):
        assert clip is not None
    prepare_corpus(folder / "clips", folder / "prepared", features=("motion",))
    return open_corpus(folder / "prepared")


def test_a_broken_run_resumes_to_the_same_tower_which_opens(
    tmp_path: Path, room: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = RunDir(tmp_path / "whole"), RunDir(tmp_path / "broken")
    train(tiny(), whole, corpora=[room])
    monkeypatch.setattr(foley_sight, "update", failing_after(3))
    with pytest.raises(RuntimeError, match="power is gone"):
        train(tiny(), broken, corpora=[room])
    monkeypatch.setattr(foley_sight, "update", update)
    train(tiny(), broken, corpora=[room], resume=True)
    own, other = (read_folder(run.path / "model") for run in (whole, broken))
    torch.testing.assert_close(dict(own.tensors), dict(other.tensors), atol=0, rtol=0)
    look = open_look(own, torch.device("cpu"))
    assert look.class_names == room.class_names


def failing_after(num_steps: int) -> Callable[..., float]:
    calls = 0

    def update_or_fail(*given: Any, **named: Any) -> float:
        nonlocal calls
        calls += 1
        if calls > num_steps:
            raise RuntimeError("the power is gone")
        return update(*given, **named)

    return update_or_fail


def test_clips_are_read_with_their_truth(room: Corpus) -> None:
    records: list[ClipRecord] = [*room.records("valid")]
    clips = read_clips(records, class_names=room.class_names, picture_size=16)
    assert clips.pictures.shape[1:] == (22, 3, 16, 16)
    assert clips.classes.sum(1).min() >= 1
    assert 0 < float(clips.judged.mean()) <= 1
