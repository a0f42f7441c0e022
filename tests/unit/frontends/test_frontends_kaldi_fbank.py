"""Kaldi's log filterbank: against its definition step by step, borders, lengths, refusals."""

import math

import pytest
import torch
from torch import Tensor

from earsight.errors import ConfigError, InputError
from earsight.frontends import kaldi_fbank
from earsight.frontends.fbank_statistics import AUDIOSET, STATISTICS, fbank_statistics
from earsight.frontends.htk_filters import htk_filters
from earsight.frontends.kaldi_fbank import (
    PUBLISHED,
    FbankSettings,
    compressed,
    denormalise,
    log_fbank,
    mel_filters,
    network_input,
    normalise,
    pad_or_crop,
    window,
)

CPU = torch.device("cpu")


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def by_definition(wave: Tensor, settings: FbankSettings = PUBLISHED) -> Tensor:
    """One clip in float64, each frame by itself, in the order of Kaldi's steps."""
    size, samples = settings.window_samples, wave.double() - wave.double().mean()
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(size) / (size - 1)).double()
    filters = htk_filters(
        rate_hz=settings.rate_hz,
        fft_samples=settings.fft_samples,
        num_mels=settings.num_mels,
        low_hz=settings.low_hz,
        high_hz=settings.high_hz,
        straight_in="mel",
    )
    filters[:, -1] = 0
    rows: list[Tensor] = []
    for start in range(0, len(samples) - size + 1, settings.hop_samples):
        frame = samples[start : start + size]
        frame = frame - frame.mean()
        before = torch.cat([frame[:1], frame[:-1]])
        power = torch.fft.rfft((frame - 0.97 * before) * hann, settings.fft_samples).abs() ** 2
        rows.append((filters @ power).clamp(min=2**-23).log())
    return torch.stack(rows)


@pytest.mark.parametrize(
    "settings",
    [PUBLISHED, compressed(4), FbankSettings(num_mels=64, window_samples=320, rate_hz=16000)],
    ids=["published", "fewer frames", "others"],
)
def test_values_are_those_of_the_definition(settings: FbankSettings) -> None:
    wave = 0.1 * noise(2, 4000) + 0.3
    own = log_fbank(wave, settings=settings)
    for clip, values in zip(wave, own, strict=True):
        torch.testing.assert_close(
            values.double(), by_definition(clip, settings), atol=1e-3, rtol=0
        )


def test_stored_window_and_filters_are_the_published_ones() -> None:
    expected = torch.hann_window(400, periodic=False, dtype=torch.float64).float()
    torch.testing.assert_close(window(PUBLISHED, CPU)[:400], expected, atol=1e-7, rtol=0)
    filters = mel_filters(PUBLISHED, CPU)
    empty = (filters.sum(dim=0) == 0).nonzero().flatten().tolist()
    assert filters.shape == (256, 128)
    assert empty == [3]


def test_a_clip_depends_neither_on_its_batch_nor_on_how_it_is_cut_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kaldi_fbank, "FRAMES_PER_PASS", 250 // torch.get_num_threads())
    wave = noise(9, 8000)  # 48 frames each, so that passes hold five and four clips
    alone = torch.cat([log_fbank(clip) for clip in wave.split(1)])
    torch.testing.assert_close(log_fbank(wave), alone, atol=1e-5, rtol=0)
    monkeypatch.setattr(kaldi_fbank, "FRAMES_PER_PASS", 100)
    wave = noise(2, 60080)  # 373 frames each, so that a clip takes passes of unequal length
    parts = [log_fbank(wave[:, 160 * n :][:, :8080]) for n in (0, 160, 324)]
    whole = log_fbank(wave)
    for first, part in zip((0, 160, 324), parts, strict=True):
        torch.testing.assert_close(whole[:, first : first + 49], part, atol=1e-5, rtol=0)
    silent = log_fbank(torch.zeros(1, 400))
    torch.testing.assert_close(silent, torch.full((1, 1, 128), -15.942385), atol=1e-6, rtol=0)


def test_only_whole_frames_count() -> None:
    for samples, frames in ((400, 1), (559, 1), (560, 2), (16000, 98), (160000, 998)):
        assert PUBLISHED.num_frames(samples) == frames
    assert log_fbank(noise(1, 560)).shape == (1, 2, 128)
    assert compressed(4).num_frames(160000) == 250
    with pytest.raises(InputError, match="399 samples, one frame needs 400 at 16000 Hz"):
        log_fbank(noise(1, 399))


def test_missing_frames_are_zero_before_they_are_normalised() -> None:
    ready = network_input(noise(1, 4000), AUDIOSET)
    assert ready.shape == (1, 1024, 128)
    assert ready[0, 23:].unique().tolist() == pytest.approx([0.4670], abs=1e-4)
    assert pad_or_crop(noise(1, 30, 128), num_frames=7).shape == (1, 7, 128)
    back = denormalise(normalise(noise(1, 5, 128), AUDIOSET), AUDIOSET)
    torch.testing.assert_close(back, noise(1, 5, 128), atol=1e-5, rtol=0)


def test_settings_and_names_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="high_hz <= 4000 Hz"):
        FbankSettings(rate_hz=8000)
    assert fbank_statistics("esc50").num_frames == 512
    with pytest.raises(InputError, match="'esc5': take one of esc50"):
        fbank_statistics("esc5")
    assert {s.num_frames for s in STATISTICS.values()} == {128, 512, 1024}
