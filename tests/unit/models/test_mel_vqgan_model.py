import pytest
import torch

from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.models.mel_vqgan import published
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.discriminator import PatchDiscriminator, PatchDiscriminatorConfig
from earsight.models.mel_vqgan.model import MelVQGAN

SMALL = MelVQGANConfig(
    channels=8,
    channel_multipliers=(1, 1, 2, 2, 4),
    blocks_per_level=1,
    latent_channels=6,
    code_dim=4,
    num_codes=12,
    norm_groups=4,
)


def small(seed: int = 0) -> MelVQGAN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MelVQGAN(SMALL).eval()


def mel(num_frames: int) -> torch.Tensor:
    return torch.rand(2, 1, 80, num_frames, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("frames", "columns"), [(16, 1), (70, 4), (848, 53)])
def test_any_length_gives_a_column_per_16_frames(frames: int, columns: int) -> None:
    with torch.no_grad():
        out = small()(mel(frames)[:1])
    assert out.quantized.codes.shape == (1, 5, columns)
    assert out.mel.shape == (1, 1, 80, 16 * columns)


def test_results_do_not_depend_on_whether_gradients_are_wanted() -> None:
    model, x = small(), mel(64)
    kept = x.clone()
    with torch.no_grad():
        plain = model(x)
    tracked = model(x)
    assert torch.equal(x, kept)
    assert torch.equal(plain.quantized.codes, tracked.quantized.codes)
    torch.testing.assert_close(plain.mel, tracked.mel.detach(), atol=5e-5, rtol=0)


def test_codes_decode_to_the_reconstruction() -> None:
    model = small()
    with torch.no_grad():
        out = model(mel(64))
        again = model.decode_codes(out.quantized.codes)
    torch.testing.assert_close(again, out.mel, atol=5e-5, rtol=0)


def test_misfits_are_refused_by_name() -> None:
    model = small()
    with pytest.raises(InputError, match=r"got 72 x 64: bands must be a multiple of 16"):
        model.encode(torch.zeros(1, 1, 72, 64))
    with pytest.raises(InputError, match="at least 16 frames"):
        model.encode(torch.zeros(1, 1, 80, 15))
    with pytest.raises(InputError, match=r"must be in 0\.\.11, got 0\.\.12"):
        model.decode_codes(torch.tensor([[[0], [12]]]))


def test_all_contradictions_of_a_config_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        MelVQGANConfig(num_mels=72, channels=100, attention_resolutions=(50,))
    for part in ("num_mels (72)", "100 channels", "attention_resolutions [50]"):
        assert part in str(caught.value)


def test_official_names_and_sizes_survive_the_way_there_and_back() -> None:
    own = small().state_dict()
    official = untranslate(own, published.KEYS)
    assert published.config_from_entries(official, norm_groups=4) == SMALL
    other = small(seed=1)
    account = load_strict(other, official, published.KEYS)
    assert len(account.rows) == len(own)
    assert all(torch.equal(value, own[name]) for name, value in other.state_dict().items())
    with pytest.raises(WeightsError, match=r"quant_conv\.weight is missing"):
        published.config_from_entries({n: t for n, t in official.items() if "quant_c" not in n})


@pytest.mark.parametrize("num_layers", [2, 3])
def test_discriminator_names_follow_its_depth(num_layers: int) -> None:
    config = PatchDiscriminatorConfig(channels=4, num_layers=num_layers)
    model = PatchDiscriminator(config)
    official = untranslate(model.state_dict(), published.discriminator_keys(config, prefix="d."))
    assert f"d.main.{3 * num_layers + 2}.bias" in official
    assert f"d.main.{3 * num_layers}.running_mean" in official
    load_strict(model, official, published.discriminator_keys(config, prefix="d."))
