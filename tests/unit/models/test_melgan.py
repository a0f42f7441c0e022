"""The vocoder: lengths, folding, refusals, and official names of any size."""

import pytest
import torch

from earsight.errors import ConfigError, InputError, WeightsError
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig
from earsight.models.melgan.discriminator import MultiScaleDiscriminator
from earsight.models.melgan.model import MelGANGenerator, fold_weight_norm
from earsight.models.melgan.published import (
    config_from_entries,
    discriminator_keys,
    generator_keys,
)

ODD = MelGANConfig(num_mels=7, channels=3, num_residual_layers=2, ratios=(5, 3, 2))


def generator(config: MelGANConfig) -> MelGANGenerator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MelGANGenerator(config)


def mel(config: MelGANConfig, num_frames: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(2, config.num_mels, num_frames, generator=rng)


def test_every_frame_gives_hop_samples_for_odd_ratios_too() -> None:
    wave = generator(ODD)(mel(ODD, 9))
    assert wave.shape == (2, 1, 9 * 30)
    assert ODD.hop_samples == 30
    assert wave.abs().max() < 1


def test_folding_keeps_the_wave_and_the_original() -> None:
    model = generator(ODD)
    folded = fold_weight_norm(model)
    torch.testing.assert_close(folded(mel(ODD, 9)), model(mel(ODD, 9)), atol=1e-6, rtol=0)
    assert "stages.0.upsample.weight" in folded.state_dict()
    assert "stages.0.upsample.parametrizations.weight.original0" in model.state_dict()


def test_the_fewest_frames_work_and_one_less_is_refused() -> None:
    config = MelGANConfig(num_mels=7, channels=2, num_residual_layers=4, ratios=(2, 2))
    model = generator(config)
    fewest = model.min_frames
    assert model(mel(config, fewest)).shape[2] == fewest * 4
    with pytest.raises(InputError, match=f"at least {fewest} are needed"):
        model(mel(config, fewest - 1))


def test_other_bands_are_refused() -> None:
    with pytest.raises(InputError, match="mel has 8 bands, the vocoder takes 7"):
        generator(ODD)(torch.zeros(1, 8, 9))


def test_weight_norm_of_a_transposed_convolution_is_per_input_channel() -> None:
    gains = generator(ODD).state_dict()["stages.0.upsample.parametrizations.weight.original0"]
    assert gains.shape == (ODD.stage_channels[0], 1, 1)


@pytest.mark.parametrize("config", [ODD, MelGANConfig(channels=2, num_residual_layers=0)])
def test_official_names_cover_a_network_of_any_size(config: MelGANConfig) -> None:
    model, keys = generator(config), generator_keys(config)
    assert sorted(keys.values()) == sorted(model.state_dict())
    official = {name: model.state_dict()[own] for name, own in keys.items()}
    # an odd ratio has the kernel of the next even one's half, never of another ratio
    assert config_from_entries(official) == config


def test_official_names_cover_the_discriminators() -> None:
    config = DiscriminatorConfig(num_scales=2, channels=4, num_layers=2, factor=2, max_channels=8)
    model = MultiScaleDiscriminator(config)
    keys = discriminator_keys(config)
    assert sorted(keys.values()) == sorted(model.state_dict())
    assert "model.disc_1.model.layer_4.weight_g" in keys


def test_discriminators_see_halved_rates() -> None:
    config = DiscriminatorConfig(num_scales=3, channels=4, num_layers=1, max_channels=8)
    judged = MultiScaleDiscriminator(config)(torch.ones(1, 1, 64))
    assert [scale[0].shape[2] for scale in judged.features] == [64, 32, 16]
    assert [logits.shape[1] for logits in judged.logits] == [1, 1, 1]


def test_a_file_of_another_network_is_named() -> None:
    with pytest.raises(WeightsError, match=r"model\.1\.weight_v"):
        config_from_entries({"encoder.weight": torch.zeros(1)})


def test_sizes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        MelGANConfig(ratios=())
    with pytest.raises(ConfigError, match="multiple of 4"):
        DiscriminatorConfig(channels=6)
    with pytest.raises(ConfigError, match="max_channels"):
        DiscriminatorConfig(channels=16, max_channels=90)
