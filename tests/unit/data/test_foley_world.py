"""The Foley Room: pure functions, onsets at their times, difficulties that do what they say."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from earsight.data.foley_room.clip import PictureSettings
from earsight.data.foley_room.difficulties import DifficultyShares, choose_difficulties
from earsight.data.foley_room.performance import Stage
from earsight.data.foley_room.world import (
    CLASS_NAMES,
    CLASSES,
    EVENT_CLASSES,
    FoleyClip,
    FoleyRoomSettings,
    foley_clip,
    frame_loudness,
    hard,
)
from earsight.errors import ConfigError, InputError

RATE = 22050
PLAIN = FoleyRoomSettings()
SHARP = replace(
    PLAIN, picture=replace(PLAIN.picture, fps=60.0, clip_seconds=2.5, exposures=1, camera_shake=0.0)
)


def clip_of(name: str, settings: FoleyRoomSettings = PLAIN, turn: int = 0) -> FoleyClip:
    number = len(settings.classes)
    index = settings.classes.index(name) + turn * number
    return foley_clip(11, "train", index, settings)


def digest(clip: FoleyClip, *frames: int) -> str:
    total = hashlib.sha256(clip.sound.tobytes())
    total.update(repr(clip.truth).encode())
    for frame in frames:
        total.update(clip.draw(frame).tobytes())
    return total.hexdigest()


def with_all(**shares: float) -> FoleyRoomSettings:
    return replace(PLAIN, difficulties=DifficultyShares(**shares))


def test_classes_are_numbered_as_everywhere() -> None:
    assert CLASS_NAMES[:4] == ("drop", "drum", "clock", "bell")
    assert len(CLASS_NAMES) == 10
    assert tuple(CLASSES) == CLASS_NAMES
    for index, name in enumerate(CLASS_NAMES):
        truth = foley_clip(3, "train", index + 10, PLAIN).truth
        assert (truth.class_name, truth.scene_name, truth.classes) == (name, name, (name,))
        assert bool(truth.events) == (name in EVENT_CLASSES)


def test_a_clip_is_the_same_whenever_and_wherever_it_is_made() -> None:
    settings = hard()
    code = (
        "from earsight.data.foley_room.world import foley_clip, hard; import hashlib\n"
        "for index in (10, 13, 17):\n"
        "    clip = foley_clip(5, 'valid', index, hard())\n"
        "    total = hashlib.sha256(clip.sound.tobytes())\n"
        "    total.update(repr(clip.truth).encode())\n"
        "    total.update(clip.draw(40).tobytes())\n"
        "    print(total.hexdigest())\n"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    here = [digest(foley_clip(5, "valid", index, settings), 40) for index in (10, 13, 17)]
    assert elsewhere.stdout.split() == here
    clip = foley_clip(5, "valid", 10, settings)
    clip.draw(3)  # frames in any order, as often as wanted
    assert digest(clip, 40) == here[0]


def test_splits_seeds_and_indices_give_other_clips() -> None:
    clips = [
        foley_clip(5, "train", 10, PLAIN),
        foley_clip(5, "valid", 10, PLAIN),
        foley_clip(5, "test", 10, PLAIN),
        foley_clip(6, "train", 10, PLAIN),
        foley_clip(5, "train", 20, PLAIN),
    ]
    assert len({digest(clip, 20) for clip in clips}) == len(clips)


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_every_event_is_heard_when_it_happens(name: str) -> None:
    """The level within 10 ms after an event is well over the one just before it."""
    heard = 0
    for turn in range(4):
        clip = clip_of(name, turn=turn)
        # differences: what rings on from before is low, what begins is sharp
        sharp = np.diff(clip.sound.astype(float), prepend=0.0)
        level = np.convolve(sharp**2, np.ones(44) / 44, mode="full")
        last, window = -1.0, round(0.01 * RATE)
        for event in clip.truth.events:
            at = round(event.time_seconds * RATE)
            is_clear = event.time_seconds - last > 0.15 and event.strength > 0.3
            last = event.time_seconds
            if not is_clear or at + window > len(clip.sound):
                continue
            before = level[max(0, at - window) : max(1, at - 3)].max(initial=1e-12)
            after = level[at : at + window].max()
            assert after > 1.5 * before, (turn, event)
            heard += 1
    assert heard >= 6


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_louder_events_are_those_that_are_stronger(name: str) -> None:
    pairs: list[tuple[float, float]] = []
    for turn in range(4):
        clip = clip_of(name, turn=turn)
        for event in clip.truth.events:
            at = round(event.time_seconds * RATE)
            piece = clip.sound[at : at + 1000]
            if len(piece) == 1000:
                pairs.append((event.strength, float(np.abs(piece).max())))
    strengths, peaks = np.array(pairs).T
    assert peaks.max() <= 0.951
    if strengths.std() > 0.1:
        assert np.corrcoef(strengths, peaks)[0, 1] > 0.5


def motion(clip: FoleyClip, frame: int) -> float:
    """How much the picture changes from the frame before."""
    return float(np.abs(clip.draw(frame).astype(int) - clip.draw(frame - 1)).sum())


def test_the_stick_is_down_when_the_drum_sounds() -> None:
    clip = clip_of("drum", SHARP)
    times = [event.time_seconds for event in clip.truth.events]
    tallest = max(times, key=lambda time: clip.truth.events[times.index(time)].strength)
    frame = round(tallest * 60)
    # fast before the blow, still after it has bounced back
    assert motion(clip, frame) > 2 * motion(clip, frame + 10)


def test_pendulum_and_bell_stand_still_where_they_sound() -> None:
    for name, turn in (("bell", 0), ("bell", 1)):
        clip = clip_of(name, SHARP, turn)
        for event in clip.truth.events:
            frame = round(event.time_seconds * 60)
            if 12 < frame < 130:
                assert motion(clip, frame) < 0.5 * motion(clip, frame - 12)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_some_looks_are_kept_for_test(name: str) -> None:
    stage = Stage(clip_seconds=1.0, rate_hz=16000, x=0.0, z=4.0, width=2.0)
    found = {
        looks: {
            CLASSES[name](np.random.default_rng(seed), replace(stage, looks=looks)).look  # type: ignore[attr-defined]
            for seed in range(40)
        }
        for looks in ("seen", "held_out")
    }
    assert found["seen"]
    assert found["held_out"]
    assert not found["seen"] & found["held_out"]
    assert {look[0] for look in found["held_out"]} <= {look[0] for look in found["seen"]}


def test_only_test_clips_have_held_out_looks() -> None:
    plain = replace(PLAIN, classes=("clock",))
    told = {
        split: [foley_clip(2, split, index, plain).truth.held_out_look for index in range(12)]
        for split in ("train", "valid", "test")
    }
    assert not any(told["train"] + told["valid"])
    assert 2 <= sum(told["test"]) <= 10


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_an_off_screen_source_goes_on_sounding(name: str) -> None:
    clip, plain = clip_of(name, with_all(off_screen=1.0)), clip_of(name)
    assert clip.truth.difficulties == ("off_screen",)
    assert max(clip.truth.visibility[:35]) > 0.5
    assert max(clip.truth.visibility[-20:]) == 0
    assert np.array_equal(clip.sound, plain.sound)
    assert not np.array_equal(clip.draw(70), plain.draw(70))
    # nothing is left to move in the picture but the camera
    still = replace(with_all(off_screen=1.0), picture=SHARP.picture)
    last = clip_of(name, still)
    assert motion(last, SHARP.picture.num_frames - 2) == 0


def test_a_distractor_moves_and_is_not_heard() -> None:
    # other settings, the same main source: what it sounds like does not change with its place
    clip = clip_of("clock", replace(with_all(distractor=1.0), picture=SHARP.picture))
    assert clip.truth.classes == ("clock",)
    assert {event.sound_class for event in clip.truth.events} == {"clock"}
    alone = clip_of("clock", SHARP)
    assert [event.time_seconds for event in clip.truth.events] == [
        event.time_seconds for event in alone.truth.events
    ]
    assert np.array_equal(clip.sound, alone.sound)
    assert not np.array_equal(clip.draw(100), alone.draw(100))


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_a_late_source_is_neither_seen_nor_heard_before(name: str) -> None:
    clip = clip_of(name, with_all(late_entry=1.0))
    hidden = [index for index, part in enumerate(clip.truth.visibility) if part == 0]
    # seen from some frame on
    assert hidden[:9] == list(range(9))
    assert np.abs(clip.sound[: round(9 / 21.5 * RATE)]).max() < 1e-3
    assert max(clip.truth.visibility[40:]) > 0.3
    assert np.abs(clip.sound).max() > 0.02


def test_two_sources_are_seen_heard_and_told() -> None:
    clip = clip_of("drum", with_all(two_sources=1.0))
    assert len(clip.truth.classes) == 2
    assert clip.truth.class_name == clip.truth.classes[0] == "drum"
    assert not np.array_equal(clip.sound, clip_of("drum").sound)


def test_noise_has_its_level_and_is_not_in_the_truth() -> None:
    settings = replace(PLAIN, difficulties=DifficultyShares(noise=1.0, noise_db=(-40.0, -40.0)))
    noisy, clean = clip_of("clock", settings), clip_of("clock")
    noise = (noisy.sound - clean.sound).astype(float)
    assert 20 * np.log10(np.sqrt((noise**2).mean())) == pytest.approx(-40, abs=0.05)
    assert noisy.truth.loudness == clean.truth.loudness


def test_shares_are_kept() -> None:
    shares = DifficultyShares(off_screen=0.3, noise=0.1)
    drawn = [choose_difficulties(np.random.default_rng(seed), shares, 4.0) for seed in range(500)]
    for name, share in (("off_screen", 0.3), ("noise", 0.1), ("late_entry", 0.0)):
        assert sum(name in one.names for one in drawn) == pytest.approx(500 * share, abs=35)


def test_loudness_is_the_rms_of_each_frame() -> None:
    settings = replace(PLAIN, picture=PictureSettings(fps=20.0, clip_seconds=0.2))
    sound = np.concatenate([np.full(RATE // 10, 0.5), np.zeros(RATE // 10)]).astype(np.float32)
    expected = [0.5, 0.5, 0.0, 0.0]
    assert frame_loudness(sound, settings).tolist() == pytest.approx(expected, abs=0.01)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="16000 or 22050, got 44100"):
        FoleyRoomSettings(rate_hz=44100)
    with pytest.raises(ConfigError, match="got trumpet"):
        FoleyRoomSettings(classes=("drum", "trumpet"))
    with pytest.raises(ConfigError, match=r"off_screen is 1\.5, noise is -1"):
        DifficultyShares(off_screen=1.5, noise=-1.0)
    with pytest.raises(InputError, match="seed and index go from 0"):
        foley_clip(-1, "train", 0, PLAIN)
