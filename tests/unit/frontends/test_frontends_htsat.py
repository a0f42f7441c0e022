"""HTS-AT's spectrogram at other rates, and what training does to it."""

import pytest
import torch

from earsight.errors import ConfigError, InputError
from earsight.frontends.htsat_augment import (
    Stripes,
    mixing_shares,
    mixup,
    random_crop,
    spec_augment,
)
from earsight.frontends.htsat_mel import (
    HtsatMelConfig,
    audioset,
    coarse,
    log_mel,
    mel_filters,
    speech_commands,
)
from earsight.frontends.mel_filters import slaney_filters

CPU = torch.device("cpu")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_stored_bands_are_slaneys() -> None:
    computed = slaney_filters(
        rate_hz=32000, fft_samples=1024, num_mels=64, low_hz=50.0, high_hz=14000.0
    )
    torch.testing.assert_close(mel_filters(audioset(), CPU), computed, atol=1e-6, rtol=0)
    # a longer hop changes when frames are, not their bands
    torch.testing.assert_close(
        mel_filters(coarse(audioset(), 4), CPU), mel_filters(audioset(), CPU), atol=0, rtol=0
    )


def test_bands_above_half_the_rate_are_silent() -> None:
    mel = log_mel(torch.randn(1, 16000, generator=rng()), speech_commands())
    assert mel.shape == (1, 101, 64)
    silent = (mel == -100).all(dim=1)[0]
    assert silent[-8:].all()
    assert not silent[:50].any()


def test_hops_and_short_waves() -> None:
    wave = torch.randn(1, 32000, generator=rng())
    slow = log_mel(wave, coarse(audioset(), 4))
    torch.testing.assert_close(slow, log_mel(wave)[:, ::4], atol=1e-4, rtol=0)
    with pytest.raises(InputError, match="512 samples: more than 512"):
        log_mel(wave[:, :512])
    with pytest.raises(ConfigError, match="low_hz < high_hz"):
        HtsatMelConfig(low_hz=9.0, high_hz=8.0)


def test_stripes_hide_whole_frames_and_bands_of_each_clip() -> None:
    x = torch.ones(400, 90, 30)
    hidden = spec_augment(x, rng=rng()) == 0
    frames, bands = hidden.all(dim=2).sum(1), hidden.all(dim=1).sum(1)
    assert frames.max() > 64  # two stripes
    assert int(bands.max()) <= 2 * 7
    assert len(set(frames.tolist())) > 20
    # nothing but whole frames and bands
    covered = hidden.all(dim=2)[:, :, None] | hidden.all(dim=1)[:, None]
    assert torch.equal(hidden, covered)
    one = Stripes(num_time=1, time_width=64, num_bands=0)
    single = (spec_augment(x, rng=rng(), stripes=one) == 0).all(dim=2).sum(1).float()
    assert single.max() == 63
    assert single.min() == 0
    assert float(single.mean()) == pytest.approx(31.5, abs=3)
    with pytest.raises(InputError, match="axis of 50 is shorter"):
        spec_augment(x[:, :50], rng=rng())


def test_a_clip_is_mixed_with_its_mirror() -> None:
    x = torch.tensor([[1.0], [2], [4]])
    mixed = mixup(x, torch.tensor([0.5, 0.25, 1.0]))
    assert mixed[:, 0].tolist() == [2.5, 2, 4]
    shares = mixing_shares(20000, rng=rng())
    # Beta(1/2, 1/2): mean 1/2, variance 1/8
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(shares.var()) == pytest.approx(0.125, abs=0.003)


def test_crops_lie_anywhere_and_per_clip() -> None:
    x = torch.arange(10.0)[None, :, None].expand(300, 10, 2)
    cut = random_crop(x, num_frames=7, rng=rng())
    assert set(cut[:, 0, 0].tolist()) == {0, 1, 2, 3}
    assert (cut[:, -1, 1] - cut[:, 0, 1] == 6).all()
    assert random_crop(x, num_frames=12, rng=rng()) is x
