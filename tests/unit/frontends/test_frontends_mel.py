"""The published spectrograms against closed forms, and their stored tables."""

import math

import pytest
import torch

from earsight.errors import ConfigError, InputError
from earsight.frontends import melgan_speech_mel as speech
from earsight.frontends import specvqgan_mel as front
from earsight.frontends.griffin_lim import griffin_lim, mel_to_wave, stft_magnitude
from earsight.frontends.mel_filters import hz_to_mel, mel_to_hz, slaney_filters
from earsight.frontends.stored_tables import load_table


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sine(frequency_hz: float, num_samples: int, level: float = 0.5) -> torch.Tensor:
    time = torch.arange(num_samples, dtype=torch.float64) / front.MEL_RATE_HZ
    return (level * torch.sin(2 * math.pi * frequency_hz * time)).float()[None]


def test_stored_filters_are_slaneys() -> None:
    sizes = {"rate_hz": 22050, "fft_samples": 1024, "num_mels": 80}
    own = slaney_filters(**sizes, low_hz=125.0, high_hz=7600.0)
    torch.testing.assert_close(front.mel_filters(own.device), own, atol=1e-8, rtol=0)
    own = slaney_filters(**sizes, low_hz=0.0, high_hz=11025.0)
    torch.testing.assert_close(speech.mel_filters(own.device), own, atol=1e-8, rtol=0)
    assert hz_to_mel(1000.0) == pytest.approx(15)
    assert hz_to_mel(6400.0) == pytest.approx(42)
    assert mel_to_hz(hz_to_mel(3210.0)) == pytest.approx(3210)


def test_a_changed_table_is_refused() -> None:
    with pytest.raises(InputError, match=f"sha256 0000, found {front.TABLE_SHA256}"):
        load_table(front.TABLE, sha256="0000")


def test_sine_on_a_bin_has_the_closed_form_level() -> None:
    frequency_hz = 40 * 22050 / 1024
    mel = front.log_mel(sine(frequency_hz, 22050))[0, :, 40]
    # a periodic Hann window of 1024 sums to 512; beside the bin stand two of half the height
    lines = torch.zeros(513)
    lines[39], lines[40], lines[41] = 64.0, 128.0, 64.0
    amplitude = front.mel_filters(lines.device) @ lines
    expected = ((20 * torch.log10(amplitude.clamp(min=1e-5)) + 80) / 100).clamp(0, 1)
    heard = expected > 0.3
    assert heard.sum() >= 2
    torch.testing.assert_close(mel[heard], expected[heard], atol=2e-4, rtol=0)


def test_scale_is_amplitude_in_decibels_over_100() -> None:
    wave = noise(1, 30000) * 0.05
    quiet, loud = (front.log_mel(wave * gain, num_frames=None) for gain in (1, 2))
    assert quiet.min() > 0
    assert loud.max() < 1
    torch.testing.assert_close(loud - quiet, torch.full_like(loud, 0.0602060), atol=2e-6, rtol=0)
    torch.testing.assert_close(
        front.mel_amplitude(loud) / front.mel_amplitude(quiet),
        torch.full_like(loud, 2.0),
        atol=1e-4,
        rtol=0,
    )


def test_silence_is_0_and_noise_above_full_scale_is_1() -> None:
    assert front.log_mel(torch.zeros(1, 4000)).abs().max() == 0
    assert front.log_mel(noise(1, 8000) * 1e4, num_frames=20).min() == 1


def test_border_is_reflected() -> None:
    # a wave that is even around its start does not see whether the border is made or heard
    wave = noise(1, 4000)
    mirrored = torch.cat([wave[:, 1:].flip(1), wave], dim=1)[:, 3999 - 1024 :]
    heard = front.log_mel(mirrored, num_frames=None)
    torch.testing.assert_close(
        front.log_mel(wave, num_frames=None)[:, :, :10], heard[:, :, 4:14], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("num_samples", [1, 255, 513, 1025, 1100, 5000, 70000])
def test_stream_equals_whole(num_samples: int) -> None:
    wave = noise(num_samples)
    whole = front.log_mel(wave[None], num_frames=None)[0]
    assert whole.shape == (80, 1 + num_samples // 256)
    joined = torch.cat(list(front.stream_log_mel(iter(wave.split(777)))), dim=1)
    torch.testing.assert_close(joined, whole, atol=2e-6, rtol=0)
    assert list(front.stream_log_mel(iter([]))) == []


def test_batch_and_blocks_do_not_change_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    waves = noise(3, 30000)
    together = front.log_mel(waves)
    assert together.shape == (3, 80, 860)
    monkeypatch.setattr(front, "BLOCK_FRAMES", 100)
    torch.testing.assert_close(front.log_mel(waves[1:2]), together[1:2], atol=2e-6, rtol=0)


def test_length_follows_the_published_ten_seconds() -> None:
    assert front.samples_for(860) == 220500
    wave = noise(1, 220500 + 4096)
    short = front.log_mel(wave[:, :220500], num_frames=None)
    assert short.shape[2] == 862
    torch.testing.assert_close(front.log_mel(wave), short[:, :, :860], atol=2e-6, rtol=0)
    with pytest.raises(InputError, match="0 samples"):
        front.log_mel(torch.zeros(2, 0))


def test_crop_and_scalings() -> None:
    ramp = torch.arange(860.0).repeat(1, 80, 1)
    cropped = front.centre_crop(ramp)
    assert (cropped[0, 0, 0], cropped[0, 0, -1]) == (6, 853)
    with pytest.raises(InputError, match="853 frames"):
        front.centre_crop(ramp[:, :, :853], 854)
    mel = torch.rand(1, 80, 4)
    torch.testing.assert_close(front.from_model(front.to_model(mel)), mel, atol=1e-6, rtol=0)
    bands = front.normalise_bands(torch.full((1, 80, 1), 0.51234712))
    assert bands[0, 0, 0] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ConfigError, match="870"):
        front.SpecVQGANMelConfig(num_frames=870)
    assert front.SpecVQGANMelConfig().clip_samples == 220500


def test_short_clips_repeat_with_a_gap() -> None:
    wave = torch.ones(1000)
    tiled = front.tile_to_clip(wave, source_rate_hz=44100, num_samples=4000)
    assert tiled.shape == (4000,)
    silent = torch.nonzero(tiled == 0)[:, 0]
    assert silent[0] == 1000
    assert silent.numel() == 512 + 512  # 1,024 samples at 44.1 kHz are 512 at 22.05 kHz
    assert (
        front.tile_to_clip(torch.ones(5000), source_rate_hz=44100, num_samples=4000).sum() == 4000
    )


def test_speech_mel_is_unscaled_and_reaches_the_top() -> None:
    wave = sine(9000.0, 8192)
    mel = speech.speech_log_mel(wave)
    assert mel.shape == (1, 80, 32)
    assert mel[0, :, 10].argmax() == pytest.approx(75, abs=2)
    assert speech.speech_log_mel(torch.zeros(1, 512)).max() == pytest.approx(-5)
    with pytest.raises(InputError, match="384"):
        speech.speech_log_mel(torch.zeros(1, 384))


def test_griffin_lim_keeps_the_spectrum() -> None:
    wave = sine(440.0, 256 * 60) + sine(2500.0, 256 * 60, level=0.2)
    spectrum = torch.stft(
        wave, 1024, hop_length=256, window=torch.hann_window(1024), return_complex=True
    )
    rebuilt = griffin_lim(spectrum.abs())
    assert rebuilt.shape == wave.shape
    again = torch.stft(
        rebuilt, 1024, hop_length=256, window=torch.hann_window(1024), return_complex=True
    )
    error = (again.abs() - spectrum.abs()).norm() / spectrum.abs().norm()
    assert error < 0.1
    with pytest.raises(InputError, match="3 frames"):
        griffin_lim(spectrum.abs()[:, :, :3])


def test_griffin_lim_phase_is_drawn_per_clip() -> None:
    mel = front.log_mel(noise(2, 12000) * 0.1, num_frames=40)
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    both = mel_to_wave(mel, generators=generators, iterations=4)
    alone = mel_to_wave(mel[1:], generators=[torch.Generator().manual_seed(6)], iterations=4)
    assert both.shape == (2, 40 * 256)
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)
    with pytest.raises(InputError, match="1 generators for 2"):
        mel_to_wave(mel, generators=[torch.Generator()])


def test_mel_to_wave_returns_to_the_mel() -> None:
    mel = front.log_mel(noise(1, 22050) * 0.1, num_frames=80)
    amplitude = front.mel_amplitude(mel)
    spread = front.mel_filters(mel.device) @ stft_magnitude(amplitude)
    assert (spread - amplitude).norm() / amplitude.norm() < 0.05
    again = front.log_mel(mel_to_wave(mel), num_frames=80)
    assert (again - mel)[:, :, 2:-2].abs().mean() < 0.02
