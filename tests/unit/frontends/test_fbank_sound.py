"""Log filterbanks become sound again, at the right loudness and the right moment."""

import math

import pytest
import torch

from earsight.errors import InputError
from earsight.frontends.fbank_sound import KnownSound, bin_power, fbank_to_wave
from earsight.frontends.kaldi_fbank import PUBLISHED, log_fbank, mel_filters

SAMPLES = 16000


def sweep() -> torch.Tensor:
    time = torch.arange(SAMPLES) / 16000
    tone = 0.3 * torch.sin(2 * math.pi * (200 + 1500 * time) * time)
    noise = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(1))
    return tone + 0.02 * noise * (time > 0.6)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_wave_made_from_a_filterbank_has_that_filterbank() -> None:
    fbank = log_fbank(sweep()[None])[0]
    wave = fbank_to_wave(fbank, num_samples=SAMPLES, rng=generator())
    again = log_fbank(wave[None])[0]
    loud = fbank > fbank.max() - 9
    difference = (again - fbank)[loud]
    assert float(difference.abs().mean()) < 0.25
    assert abs(float(difference.mean())) < 0.08


def test_visible_sound_stays_and_hidden_sound_is_not_used() -> None:
    wave, other = sweep(), sweep()
    other[6400:9600] = 0.5  # frames 40 to 57 lie wholly here
    fbank = log_fbank(wave[None])[0]
    visible = torch.ones_like(fbank, dtype=torch.bool)
    visible[37:61] = False  # every frame that overlaps the changed samples
    made = [
        fbank_to_wave(
            fbank,
            num_samples=SAMPLES,
            rng=generator(),
            known=KnownSound(source, visible),
            iterations=12,
        )
        for source in (wave, other)
    ]
    torch.testing.assert_close(made[0][400:5600], wave[400:5600], atol=1e-4, rtol=0)
    torch.testing.assert_close(made[0], made[1], atol=1e-5, rtol=0)
    assert float((made[0] - wave)[6800:9200].abs().max()) > 1e-2


def test_bin_powers_have_the_bands_they_were_made_from() -> None:
    filters = mel_filters(PUBLISHED, torch.device("cpu"))
    power = torch.rand(3, 256, generator=generator()) @ filters
    found = bin_power(power)
    assert float(found.min()) >= 0
    used = power > 0
    relative = (found[:, :-1] @ filters)[used] / power[used] - 1
    assert float(relative.abs().mean()) < 0.02


def test_frames_and_samples_must_belong_together() -> None:
    with pytest.raises(InputError, match="3 frames belong to 720 samples or up to 159 more"):
        fbank_to_wave(torch.zeros(3, 128), num_samples=900, rng=generator())
