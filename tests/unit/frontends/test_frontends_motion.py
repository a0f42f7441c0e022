"""Motion of drawn scenes: what moves is seen, what only the camera or the light does is not."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.frontends.motion import (
    MotionConfig,
    MotionTrack,
    motion_features,
    motion_track,
    with_clip_gain,
)

HEIGHT, WIDTH = 144, 192


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    coarse = torch.rand(
        1, 1, height // 6 + 2, width // 6 + 2, generator=torch.Generator().manual_seed(seed)
    )
    smooth = functional.interpolate(coarse, size=(height, width), mode="bicubic")[0, 0]
    return smooth.clamp(0, 1) * 200 + 25


WALL = texture(400, 800)
SCENE = WALL[:HEIGHT, :WIDTH]
OTHER = WALL[200 : 200 + HEIGHT, 500 : 500 + WIDTH]
PATCH = texture(40, 40, seed=1)


def track(picture: Callable[[int], Tensor], num_frames: int = 24) -> MotionTrack:
    """The track of drawn grey pictures with a little camera noise."""
    generator = torch.Generator().manual_seed(7)

    def pixels(frame: int) -> Tensor:
        grey = picture(frame)
        noisy = grey + 2 * torch.randn(grey.shape, generator=generator)
        return noisy.clamp(0, 255).round().to(torch.uint8)[..., None].expand(-1, -1, 3)

    return motion_track(pixels(frame) for frame in range(num_frames))


def window(top: int, left: int) -> Tensor:
    return WALL[top : top + HEIGHT, left : left + WIDTH]


def with_square(background: Tensor, left: int) -> Tensor:
    picture = background.clone()
    picture[50:90, left : left + 40] = PATCH
    return picture


def with_ball(background: Tensor, height_pixels: float, radius: float = 8.0) -> Tensor:
    rows = torch.arange(HEIGHT)[:, None] - (112 - height_pixels)
    columns = torch.arange(WIDTH) - 96
    cover = (radius + 0.5 - (rows.square() + columns.square()).sqrt()).clamp(0, 1)
    return background * (1 - cover) + 235 * cover


def bounce(frame: int, period: int = 16) -> float:
    share = frame % period / period
    return 320 * share * (1 - share)


def test_a_moving_square_has_energy_where_it_is() -> None:
    moving = track(lambda frame: with_square(SCENE, 8 + 2 * frame))
    assert moving.energy[1:].min() > 0.2
    assert moving.onset.max() < 0.05  # even motion
    cells = moving.grid_energy[2:10].mean(0).reshape(3, 3)
    assert cells.argmax() == 3  # middle row, left
    assert cells[0].max() < 0.05 < cells[1, 0]
    standing = track(lambda _: with_square(SCENE, 8))
    assert standing.energy.max() < 0.02


def test_faster_is_more() -> None:
    slow, fast = (
        track(lambda frame, speed=speed: with_square(SCENE, 8 + speed * frame), 12)
        for speed in (1, 4)
    )
    assert fast.energy.mean() > 1.3 * slow.energy.mean()


@pytest.mark.parametrize(
    "shift",
    [
        lambda frame: (20, 3 * frame),
        lambda frame: (20, 10 * frame),
        lambda frame: (60 + round(6 * math.sin(1.3 * frame)), 100 + round(5 * math.cos(frame))),
    ],
    ids=["pan", "fast_pan", "shake"],
)
def test_camera_is_not_motion(shift: Callable[[int], tuple[int, int]]) -> None:
    moved = track(lambda frame: window(*shift(frame)))
    assert moved.energy.mean() < 0.05
    assert moved.energy.max() < 0.15
    assert moved.onset.max() < 0.05


def test_motion_is_seen_through_shake() -> None:
    shaken = track(
        lambda frame: with_square(window(60 + round(4 * math.sin(1.3 * frame)), 100), 8 + 3 * frame)
    )
    assert shaken.energy[1:].mean() > 0.2


@pytest.mark.parametrize(
    "light",
    [
        lambda frame: 0.5 * 1.03**frame,
        lambda frame: 0.94**frame,
        lambda frame: 1.0 + 2.5 * (frame in (11, 12)),
    ],
    ids=["brighter", "darker", "flash"],
)
def test_light_is_not_motion(light: Callable[[int], float]) -> None:
    lit = track(lambda frame: SCENE * light(frame))
    assert lit.energy.max() < 0.05
    assert lit.onset.max() < 0.05


def test_a_cut_is_no_onset_and_leaves_energy_alone() -> None:
    moving = track(lambda frame: with_square(SCENE if frame < 12 else OTHER, 8 + 2 * frame))
    assert moving.energy[12] == pytest.approx(float(moving.energy[11:14].mean()), abs=0.05)
    # what was before and what comes after a cut are not compared either
    cut = track(lambda frame: with_square(SCENE, 8 + 9 * frame) if frame < 12 else OTHER)
    assert torch.nonzero(cut.breaks)[:, 0].tolist() == [0, 12]
    assert cut.onset[10:15].max() < 0.01
    assert moving.onset.max() < 0.05


@pytest.mark.parametrize("kind", ["plain", "texture"])
def test_bounces_are_onsets_within_a_frame(kind: str) -> None:
    plain = torch.full((HEIGHT, WIDTH), 128.0)
    plain[120:] = 80
    background = plain if kind == "plain" else SCENE * 0.5
    bounced = track(lambda frame: with_ball(background, bounce(frame)), 60)
    for contact in (16, 32, 48):
        around = bounced.onset[contact - 7 : contact + 8]
        assert abs(int(around.argmax()) - 7) <= 1
        assert around.max() > 0.5
        assert bounced.onset[contact + 4 : contact + 11].max() < 0.1  # the top of the flight


def test_sudden_start_and_stop_are_onsets() -> None:
    def left(frame: int) -> int:
        return 8 + 4 * min(max(frame - 8, 0), 10)

    stopped = track(lambda frame: with_square(SCENE, left(frame)), 28)
    peaks = torch.nonzero(stopped.onset > 0.15)[:, 0].tolist()
    assert {min(abs(peak - at) for at in (8, 18)) for peak in peaks} <= {0, 1}
    assert stopped.onset[8] > 0.15
    assert stopped.onset[18] > 0.15


def test_columns_hold_four_energies_then_four_onsets() -> None:
    frames = torch.arange(300.0)
    ramp = MotionTrack(
        frames / 1000, frames / 500, torch.zeros(300, 1), torch.zeros(300, 1), frames < 0, 21.5
    )
    columns = motion_features(ramp, num_columns=53)
    assert columns.shape == (53, 8)
    expected = [0, 0.001, 0.002, 0.003, 0, 0.002, 0.004, 0.006]
    torch.testing.assert_close(columns[0], torch.tensor(expected))
    torch.testing.assert_close(columns[10, 4:], torch.arange(40, 44) / 500)
    later = motion_features(ramp, num_columns=20, start_seconds=20 / 21.5)
    assert later[0, 0] == pytest.approx(0.020)
    beyond = motion_features(ramp, num_columns=2, start_seconds=14.0)
    assert beyond.abs().max() == 0
    # 2000 columns are 371.5 s of sound, 7988 frames, not 8000
    long = MotionTrack(
        torch.arange(8100.0), torch.zeros(8100), torch.zeros(8100, 1), torch.zeros(8100, 1),
        torch.zeros(8100, dtype=torch.bool), 21.5,
    )  # fmt: skip
    assert motion_features(long, num_columns=2001)[2000, 0] == 7988


def test_clip_gain_is_one_factor_and_bounded() -> None:
    quiet = track(lambda frame: with_square(SCENE, 8 + 2 * frame))
    louder = with_clip_gain(quiet)
    ratio = louder.energy[1:] / quiet.energy[1:]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert louder.energy.max() == pytest.approx(0.8, abs=0.1)
    still = track(lambda _: SCENE)
    assert with_clip_gain(still).energy.max() < 0.05


def test_odd_videos() -> None:
    one = motion_track([torch.zeros(1, 3000, 3, dtype=torch.uint8)])
    assert (one.num_frames, float(one.energy.sum()), one.seconds) == (1, 0.0, 1 / 21.5)
    with pytest.raises(InputError, match="no pictures"):
        motion_track([])
    with pytest.raises(ConfigError, match="energy_full"):
        MotionConfig(energy_full=0.0)
