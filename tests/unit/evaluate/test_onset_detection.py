"""Known onsets are found within 10 ms; hum, hiss, silence and gliding tones have none."""

import pytest
import torch
from torch import Tensor

from earsight.evaluate.onset_detection import detect_onsets

RATE_HZ = 22050


def noise(seconds: float, level: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn(round(seconds * RATE_HZ), generator=generator)


def ringing(seconds: float, frequency_hz: float, decay_seconds: float) -> Tensor:
    time = torch.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return torch.exp(-time / decay_seconds) * torch.sin(2 * torch.pi * frequency_hz * time)


def with_events(background: Tensor, event: Tensor, times: list[float], level: float) -> Tensor:
    wave = background.clone()
    for time in times:
        start = round(time * RATE_HZ)
        wave[start : start + len(event)] += level * event[: len(wave) - start]
    return wave


@pytest.mark.parametrize(
    ("event", "hiss"),
    [
        (ringing(0.5, 440, 0.15), 1e-4),
        (ringing(3.0, 1800, 0.4), 1e-3),
        (ringing(0.2, 120, 0.05), 1e-3),
        (noise(0.15, 1.0, 3) * torch.exp(-torch.arange(round(0.15 * RATE_HZ)) / 600), 1e-3),
    ],
    ids=["tone", "bell", "thud", "burst"],
)
def test_events_are_found_within_ten_milliseconds(event: Tensor, hiss: float) -> None:
    times = [0.3, 0.55, 1.2, 2.01, 2.6]
    wave = with_events(noise(3.0, hiss), event, times, 0.4)
    assert detect_onsets(wave, RATE_HZ) == pytest.approx(times, abs=0.010)


def test_a_quiet_event_after_a_loud_one_is_found() -> None:
    wave = with_events(noise(2.0, 1e-4), ringing(0.3, 700, 0.05), [0.5], 0.5)
    wave = with_events(wave, ringing(0.3, 1500, 0.05), [0.9], 0.03)
    assert detect_onsets(wave, RATE_HZ) == pytest.approx([0.5, 0.9], abs=0.010)


def test_steady_and_silent_sounds_have_no_onsets() -> None:
    time = torch.arange(3 * RATE_HZ) / RATE_HZ
    glide = 0.3 * torch.sin(2 * torch.pi * (300 * time + 80 * time**2))
    assert detect_onsets(glide, RATE_HZ)[1:] == []
    assert len(detect_onsets(noise(3.0, 0.2), RATE_HZ)) <= 1
    assert detect_onsets(torch.zeros(RATE_HZ), RATE_HZ) == []
    assert detect_onsets(torch.zeros(10), RATE_HZ) == []


def test_the_rate_does_not_matter() -> None:
    slow = with_events(noise(2.0, 1e-4), ringing(0.3, 900, 0.08), [0.4, 1.1], 0.4)
    fast = torch.nn.functional.interpolate(slow[None, None], scale_factor=2, mode="linear")[0, 0]
    assert detect_onsets(fast, 2 * RATE_HZ) == pytest.approx([0.4, 1.1], abs=0.010)
