"""Vocoder and spectral losses against closed forms."""

import math

import pytest
import torch

from earsight.losses.spectral import Resolution, magnitude, stft_loss
from earsight.losses.vocoder import adversarial_loss, discriminator_loss, feature_matching_loss


def test_hinges_are_summed_over_scales() -> None:
    real, fake = torch.tensor([3.0, 0.5]), torch.tensor([-3.0, 0.0])
    one = 0.25 + 0.5  # means of (0, 0.5) and (0, 1)
    assert float(discriminator_loss([real], [fake])) == pytest.approx(one)
    assert float(discriminator_loss([real, real], [fake, fake])) == pytest.approx(2 * one)
    assert float(adversarial_loss([fake, fake])) == pytest.approx(3.0)


def test_feature_matching_leaves_out_logits_and_detaches_the_real_side() -> None:
    real = [torch.zeros(2, requires_grad=True) for _ in range(7)]
    fake = [torch.full((2,), 1.0) for _ in range(6)] + [torch.full((2,), 100.0)]
    loss = feature_matching_loss([real, real, real], [fake, fake, fake])
    assert float(loss) == pytest.approx(4 / 5 * 6)
    assert not loss.requires_grad


def test_a_sine_fills_its_bin() -> None:
    wave = torch.sin(2 * math.pi * 8 / 128 * torch.arange(1024))[None]
    bins = magnitude(wave, Resolution(fft_samples=128, hop_samples=64))[0, :, 8]
    assert int(bins.argmax()) == 8
    assert float(bins[8]) == pytest.approx(32, rel=1e-3)  # half the sum of a Hann window of 128


def test_spectral_distance_is_zero_for_equal_waves_and_sees_a_level() -> None:
    wave = torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    assert float(stft_loss(wave, wave)) == 0
    # half the level: convergence 0.5, log distance ln 2
    assert float(stft_loss(wave / 2, wave)) == pytest.approx(0.5 + math.log(2), rel=1e-3)


def test_silence_has_a_finite_gradient() -> None:
    wave = torch.zeros(1, 4096, requires_grad=True)
    stft_loss(wave, torch.zeros(1, 4096)).backward()
    assert wave.grad is not None
    assert bool(wave.grad.isfinite().all())
