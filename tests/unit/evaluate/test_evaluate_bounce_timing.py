"""Bounces in a sound: exact clicks are found, shifts and strays are counted, no chance passes."""

import pytest
import torch
from torch import Tensor

from earsight.data.foley_room.ball_drop import BallDropSettings, ball_drop
from earsight.data.foley_room.clip import ClipTruth, PictureSettings
from earsight.errors import InputError
from earsight.evaluate.bounce_timing import bounce_timing, matched

RATE_HZ = 16_000
SECONDS = 6.0


def knocks(times: list[float], strengths: list[float]) -> Tensor:
    """Noise bursts that die away in 30 ms, over faint noise."""
    generator = torch.Generator().manual_seed(5)
    wave = 1e-4 * torch.randn(round(SECONDS * RATE_HZ), generator=generator)
    ringing = torch.exp(-torch.arange(RATE_HZ // 4) / (0.03 * RATE_HZ))
    for time, strength in zip(times, strengths, strict=True):
        start = round(time * RATE_HZ)
        burst = strength * ringing * torch.randn(len(ringing), generator=generator)
        wave[start : start + len(burst)] += burst[: len(wave) - start]
    return wave


@pytest.fixture(scope="module")
def truth() -> ClipTruth:
    picture = PictureSettings(width=32, height=32, clip_seconds=SECONDS)
    return ball_drop(2, 0, BallDropSettings(picture=picture, materials=("wood",))).truth


def sounding(truth: ClipTruth, *, late_seconds: float = 0.0) -> Tensor:
    return knocks(
        [event.time_seconds + late_seconds for event in truth.events],
        [event.impact_speed / 7 for event in truth.events],
    )


def test_a_sound_made_from_the_truth_passes(truth: ClipTruth) -> None:
    result = bounce_timing(sounding(truth), RATE_HZ, truth, tolerance_seconds=0.05)
    assert (result.recall, result.precision) == (1, 1)
    assert result.mean_lag_seconds == pytest.approx(0, abs=0.01)
    assert result.level_correlation > 0.85
    assert result.strength_correlation > 0.85


def test_a_late_sound_is_measured_as_late(truth: ClipTruth) -> None:
    late = sounding(truth, late_seconds=0.06)
    loose = bounce_timing(late, RATE_HZ, truth, tolerance_seconds=0.1)
    assert loose.mean_lag_seconds == pytest.approx(0.06, abs=0.01)
    strict = bounce_timing(late, RATE_HZ, truth, tolerance_seconds=0.04)
    assert strict.recall < 0.3


def test_a_stray_and_a_missing_knock_are_named(truth: ClipTruth) -> None:
    first, *others = truth.events
    times = [0.1, *(event.time_seconds for event in others)]
    wave = knocks(times, [1.0, *(event.impact_speed / 7 for event in others)])
    result = bounce_timing(wave, RATE_HZ, truth, tolerance_seconds=0.05)
    assert result.missed_seconds == (first.time_seconds,)
    assert result.stray_seconds == pytest.approx((0.1,), abs=0.01)


def test_steady_noise_does_not_pass(truth: ClipTruth) -> None:
    noise = torch.randn(round(SECONDS * RATE_HZ), generator=torch.Generator().manual_seed(1))
    result = bounce_timing(noise, RATE_HZ, truth)
    assert result.recall < 0.2
    assert abs(result.level_correlation) < 0.2


def test_matching_uses_each_onset_once_and_as_many_as_it_can() -> None:
    assert matched([1.0, 1.05], [1.02], tolerance_seconds=0.1) == [(0, 0)]
    # taking the nearest first would leave one of the two without a partner
    assert matched([1.0, 1.08], [0.95, 1.05], tolerance_seconds=0.06) == [(0, 0), (1, 1)]
    assert matched([], [1.0], tolerance_seconds=0.1) == []


def test_a_truth_without_contacts_is_refused(truth: ClipTruth) -> None:
    with pytest.raises(InputError, match="no contact of 50 m/s"):
        bounce_timing(sounding(truth), RATE_HZ, truth, clear_speed=50.0)
