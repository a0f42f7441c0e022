"""Front ends of the judging networks: stored tables, closed forms, borders, refusals."""

import math

import pytest
import torch

from earsight.errors import ConfigError, InputError
from earsight.frontends import cnn14_mel, passt_mel, synchformer_inputs, vggish_mel
from earsight.frontends.htk_filters import htk_filters
from earsight.frontends.mel_filters import slaney_filters

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_stored_filters_are_the_published_ones() -> None:
    at_16k = {"rate_hz": 16000, "low_hz": 125.0, "high_hz": 7500.0, "fft_samples": 512}
    own = htk_filters(**at_16k, num_mels=64, straight_in="mel")
    torch.testing.assert_close(vggish_mel.mel_filters(CPU), own, atol=1e-12, rtol=0)
    own = htk_filters(
        rate_hz=32000,
        fft_samples=1024,
        num_mels=128,
        low_hz=0.0,
        high_hz=15000.0,
        straight_in="mel",
    )
    torch.testing.assert_close(passt_mel.mel_filters(CPU), own.float(), atol=1e-7, rtol=0)
    assert own[:, -1].max() == 0
    own = htk_filters(
        rate_hz=16000, fft_samples=1024, num_mels=128, low_hz=0.0, high_hz=8000.0, straight_in="hz"
    )
    torch.testing.assert_close(synchformer_inputs.mel_filters(CPU), own.float(), atol=1e-7, rtol=0)
    for config in (cnn14_mel.cnn14_16k(), cnn14_mel.cnn14_32k()):
        own = slaney_filters(
            rate_hz=config.rate_hz,
            fft_samples=config.fft_samples,
            num_mels=64,
            low_hz=50.0,
            high_hz=config.high_hz,
        )
        torch.testing.assert_close(cnn14_mel.mel_filters(config, CPU), own, atol=1e-8, rtol=0)


def test_sides_of_a_triangle_are_straight_where_they_should_be() -> None:
    sizes = {"rate_hz": 16000, "fft_samples": 4096, "num_mels": 10, "low_hz": 0.0}
    bins_hz = torch.arange(2049, dtype=torch.float64) * 16000 / 4096
    for straight_in, places in (("hz", bins_hz), ("mel", torch.log1p(bins_hz / 700))):
        triangle = htk_filters(**sizes, high_hz=8000.0, straight_in=straight_in)[4]
        assert 0.99 < triangle.max() <= 1
        rising = slice(int(triangle.nonzero()[0]), int(triangle.argmax()))
        slopes = triangle[rising].diff() / places[rising].diff()
        torch.testing.assert_close(slopes, slopes.mean().expand_as(slopes), atol=1e-9, rtol=1e-9)


def test_vggish_examples_lie_side_by_side_and_the_rest_is_dropped() -> None:
    wave = noise(2, 2 * 15360 + 9000)
    examples = vggish_mel.log_mel_examples(wave)
    assert examples.shape == (2, 2, 96, 64)
    second = vggish_mel.log_mel_examples(wave[:, 15360 : 15360 + 15600])
    torch.testing.assert_close(examples[:, 1:], second, atol=1e-6, rtol=0)
    silent = vggish_mel.log_mel_examples(torch.zeros(1, 15600))
    torch.testing.assert_close(silent, torch.full_like(silent, math.log(0.01)), atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="15599 samples, one VGGish example needs 15600"):
        vggish_mel.log_mel_examples(wave[:, :15599])


def test_cnn14_decibels_and_floor() -> None:
    config = cnn14_mel.cnn14_16k()
    wave = noise(1, 8000)
    quiet, loud = (cnn14_mel.log_mel(gain * wave, config) for gain in (1, 10))
    assert quiet.shape == (1, 51, 64)
    torch.testing.assert_close(loud - quiet, torch.full_like(quiet, 20.0), atol=1e-3, rtol=0)
    assert cnn14_mel.log_mel(torch.zeros(1, 8000), config).unique().tolist() == [-100.0]
    assert cnn14_mel.log_mel(noise(1, 32000), cnn14_mel.cnn14_32k()).shape == (1, 101, 64)
    with pytest.raises(InputError, match="256 samples: more than 256"):
        cnn14_mel.log_mel(wave[:, :256], config)
    with pytest.raises(ConfigError, match="high_hz <= 8000"):
        cnn14_mel.Cnn14MelConfig(high_hz=9000.0)


def test_passt_frames_silence_and_pre_emphasis() -> None:
    silent = passt_mel.log_mel(torch.zeros(1, 320000))
    assert silent.shape == (1, 128, 1000)
    expected = (math.log(1e-5) + 4.5) / 5
    torch.testing.assert_close(silent, torch.full_like(silent, expected), atol=1e-6, rtol=0)
    # a constant loses 97 %: power falls by 0.03 squared against a wave that is not filtered
    middle = passt_mel.log_mel(torch.ones(1, 16000))[0, 0, 20] * 5 - 4.5
    window = torch.hann_window(800, periodic=False).double()
    phase = torch.arange(800) * (2 * math.pi / 1024)
    line = ((window * torch.cos(phase)).sum() ** 2 + (window * torch.sin(phase)).sum() ** 2) * 9e-4
    power = passt_mel.mel_filters(CPU)[0, 1].double() * line
    assert passt_mel.mel_filters(CPU)[0, 2:].max() == 0
    assert float(middle) == pytest.approx(float(torch.log(power + 1e-5)), abs=1e-3)
    with pytest.raises(InputError, match="513 samples: at least 514"):
        passt_mel.log_mel(torch.zeros(1, 513))
    assert passt_mel.log_mel(torch.zeros(1, 514)).shape == (1, 128, 2)


def test_synchformer_segments_of_both_streams_begin_together() -> None:
    seconds = 4
    wave = torch.arange(seconds * 16000).float()[None]
    frames = torch.arange(seconds * 25).float().reshape(1, -1, 1, 1, 1).expand(-1, -1, 3, 2, 2)
    sound = synchformer_inputs.audio_segments(wave)
    video = synchformer_inputs.video_segments(frames)
    assert (sound.shape[2], video.shape[2]) == (10240, 16)
    starts = sound[0, :, 0] / 16000
    torch.testing.assert_close(starts, video[0, :, 0, 0, 0, 0] / 25, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="10239 samples, a segment needs 10240"):
        synchformer_inputs.audio_segments(wave[:, :10239])
    with pytest.raises(InputError, match="15 frames, a segment needs 16"):
        synchformer_inputs.video_segments(frames[:, :15])


def test_synchformer_fills_before_it_scales() -> None:
    mel = synchformer_inputs.segment_log_mel(torch.zeros(1, 2, 10240))
    assert mel.shape == (1, 2, 128, 65)
    scaled = synchformer_inputs.audio_input(mel)
    assert scaled.shape == (1, 2, 128, 66)
    assert scaled[..., 65].unique().item() == pytest.approx(4.2677393 / (2 * 4.5689974))
    assert scaled[..., 0].unique().item() == pytest.approx(
        (math.log(1e-6) + 4.2677393) / (2 * 4.5689974)
    )


def test_synchformer_pictures_keep_the_middle_square() -> None:
    frames = torch.zeros(2, 100, 300, 3, dtype=torch.uint8)
    frames[:, :, 100:200] = 255
    small = synchformer_inputs.picture_input(frames, size=50)
    assert small.shape == (2, 3, 50, 50)
    assert small[:, :, :, 2:-2].unique().tolist() == [1.0]
    same = synchformer_inputs.picture_input(frames, size=100)
    assert same.unique().tolist() == [1.0]
    halves = synchformer_inputs.picture_input(frames.transpose(1, 2), size=40)
    assert halves.shape == (2, 3, 40, 40)
