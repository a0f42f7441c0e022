"""The rendered world: closed-form physics, pure functions of seed and index, truth that is seen."""

from dataclasses import replace

import numpy as np
import pytest

from earsight.data.foley_room.ball_drop import BallDropSettings, ball_drop, demo_clip
from earsight.data.foley_room.bounces import GRAVITY, Drop, contacts, pose
from earsight.data.foley_room.canvas import shifted
from earsight.data.foley_room.clip import Clip, PictureSettings, ringing_loudness
from earsight.errors import ConfigError

SMALL = PictureSettings(width=64, height=48, fps=21.5, clip_seconds=4.0, exposures=2)
ONE_METRE = Drop(
    start_seconds=0.5, start_x=-1.0, start_height=1.0, speed_x=1.0, radius=0.2, restitution=0.8
)


def small_clip(seed: int = 3, index: int = 0) -> Clip:
    return ball_drop(seed, index, BallDropSettings(picture=SMALL))


def test_contacts_follow_the_laws_of_falling() -> None:
    touches = contacts(ONE_METRE)
    fall = np.sqrt(2 / GRAVITY)
    assert touches[0].time_seconds == pytest.approx(0.5 + fall, abs=1e-12)
    assert touches[0].impact_speed == pytest.approx(GRAVITY * fall, abs=1e-12)
    assert touches[1].time_seconds == pytest.approx(0.5 + fall * (1 + 2 * 0.8), abs=1e-12)
    assert touches[1].impact_speed == pytest.approx(0.8 * GRAVITY * fall, abs=1e-12)
    apex = pose(ONE_METRE, touches, touches[0].time_seconds + 0.8 * fall)
    assert apex.height == pytest.approx(0.8**2, abs=1e-12)


def test_the_path_is_continuous_and_never_below_the_floor() -> None:
    touches = contacts(ONE_METRE)
    for touch in touches:
        before = pose(ONE_METRE, touches, touch.time_seconds - 1e-7)
        after = pose(ONE_METRE, touches, touch.time_seconds + 1e-7)
        assert before.height == pytest.approx(0, abs=1e-5)
        assert after.height == pytest.approx(0, abs=1e-5)
        assert (after.x, after.angle) == pytest.approx((before.x, before.angle), abs=1e-5)
    times = np.linspace(0, 12, 3000)
    assert min(pose(ONE_METRE, touches, float(time)).height for time in times) >= 0
    assert pose(ONE_METRE, touches, 12.0).height == 0


def test_loudness_holds_the_energy_of_its_events() -> None:
    picture = replace(SMALL, clip_seconds=8.0)
    track = ringing_loudness(
        np.array([1.01, 2.5]), np.array([1.0, 0.5]), np.array([0.1, 0.2]), picture
    )
    energy = (track**2).sum() / picture.fps
    assert energy == pytest.approx(1.0 * 0.05 + 0.25 * 0.1, rel=1e-9)
    frame = int(1.01 * picture.fps)
    assert track[frame - 1] == 0
    assert track[frame] > 0.5


def test_a_clip_is_a_pure_function_of_seed_and_index() -> None:
    clip, again = small_clip(), small_clip()
    assert clip.truth == again.truth
    # frames in any order, drawn twice or not
    assert np.array_equal(clip.draw(30), again.draw(30))
    again.draw(2)
    assert np.array_equal(clip.draw(30), again.draw(30))
    assert not np.array_equal(small_clip(index=1).draw(30), clip.draw(30))
    assert not np.array_equal(small_clip(seed=4).draw(30), clip.draw(30))


def test_the_truth_fits_the_clip() -> None:
    truth = small_clip().truth
    times = [event.time_seconds for event in truth.events]
    assert times == sorted(times)
    assert times[-1] < SMALL.clip_seconds
    assert len(truth.loudness) == len(truth.visibility) == SMALL.num_frames == 86
    assert {event.sound_class for event in truth.events} == set(truth.classes)
    assert len(truth.classes) == 1
    assert max(truth.visibility) == pytest.approx(1)
    first = int(times[0] * SMALL.fps)
    assert truth.loudness[first - 1] == 0
    assert truth.loudness[first] > 0


def test_the_ball_is_lowest_in_the_picture_at_the_contact() -> None:
    """What is seen agrees with the truth: the ball's pixels turn round at the first contact."""
    picture = PictureSettings(
        width=128, height=96, fps=100.0, clip_seconds=1.5, camera_shake=0.0, exposures=1
    )
    clip = ball_drop(2, 0, BallDropSettings(picture=picture, materials=("wood",), dust=False))
    contact = clip.truth.events[0].time_seconds
    room = clip.draw(0).astype(int)
    lowest: list[float] = []
    frames = range(int(contact * 100) - 8, int(contact * 100) + 9)
    for frame in frames:
        # the painted stripe is the reddest thing in the room; its middle is the ball's
        redder = clip.draw(frame).astype(int) - room
        red = np.clip(redder[..., 0] - redder[..., 1] - 40, 0, None)
        lowest.append(float((red.sum(1) * np.arange(picture.height)).sum() / red.sum()))
    turn = frames[int(np.argmax(lowest))] / 100
    assert turn == pytest.approx(contact, abs=0.02)


def test_shake_moves_the_room_by_parts_of_pixels() -> None:
    across = np.arange(20.0)[None, :, None] * np.ones((16, 1, 3))
    moved = shifted(across, 0.25, -2.0, 2)
    assert moved.shape == (12, 16, 3)
    assert np.allclose(moved[..., 0], np.arange(16.0) + 2 - 0.25)


def test_the_demo_always_has_something_to_hear() -> None:
    events = demo_clip().truth.events
    gaps = np.diff([0.0, *(event.time_seconds for event in events), 10.0])
    assert gaps.max() < 1.4
    assert len({event.sound_class for event in events}) == 3


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="even sides of 16 or more"):
        PictureSettings(width=63)
    with pytest.raises(ConfigError, match="hold no frame"):
        PictureSettings(clip_seconds=0.0)
    with pytest.raises(ConfigError, match="name at least one of wood, metal, glass"):
        BallDropSettings(materials=())
    with pytest.raises(ConfigError, match="restitution must be between 0 and 1, got 1"):
        replace(ONE_METRE, restitution=1.0)
