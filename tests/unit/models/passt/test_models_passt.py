"""PaSST: any length its positions cover, long sounds, published files of small size."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.frontends.passt_mel import log_mel
from earsight.generate.bundles import build_network
from earsight.models.catalogue import find
from earsight.models.passt.config import PasstConfig, thirty_seconds, without_overlap
from earsight.models.passt.model import Passt
from earsight.models.passt.published import KEYS, config_from_entries
from earsight.models.passt.scene import scene_output

SMALL = PasstConfig(
    width=64, hidden=96, num_layers=2, num_heads=1, num_classes=5, strides=(16, 16), max_columns=9
)


def network(config: PasstConfig = SMALL) -> Passt:
    torch.manual_seed(0)
    return Passt(config).eval()


def official(own: Passt) -> dict[str, torch.Tensor]:
    """Entries as the authors publish them, with the head that nothing uses."""
    unused = {"head_dist.weight": torch.zeros(5, 64), "head_dist.bias": torch.zeros(5)}
    return {**untranslate(own.state_dict(), KEYS), **unused}


def test_a_published_file_becomes_a_folder_that_runs(tmp_path: Path) -> None:
    own, source = network(), tmp_path / "passt.pt"
    torch.save(official(own), source)
    done = convert(source, find("passt-s-stride16-473"), tmp_path / "out")
    assert done.parts[0].config == SMALL
    assert {row.published for row in done.parts[0].account.dropped} == {
        "head_dist.weight",
        "head_dist.bias",
    }
    folder = read_folder(tmp_path / "out")
    again = build_network(Passt, PasstConfig, folder, "passt", torch.device("cpu"))
    mel = torch.randn(2, 128, 50)
    torch.testing.assert_close(again(mel).logits, own(mel).logits, atol=0, rtol=0)


def test_every_length_up_to_the_positions_and_none_beyond() -> None:
    own = network()
    assert SMALL.max_frames == 16 * 10 - 1
    for frames, columns in ((16, 1), (31, 1), (32, 2), (159, 9)):
        mel = torch.randn(1, 128, frames)
        assert own.tokens(mel).shape == (1, 2 + 8 * columns, 64)
        assert own(mel).logits.shape == (1, 5)
    with pytest.raises(InputError, match="160 frames, this network's time positions cover 159"):
        own(torch.zeros(1, 128, 160))
    with pytest.raises(InputError, match="15 frames, one patch needs 16"):
        own(torch.zeros(1, 128, 15))
    with pytest.raises(InputError, match="expected 128 mel bands, got 64"):
        own(torch.zeros(1, 64, 50))
    # ten seconds give 1000 frames: the published sizes take them, and hardly more
    assert PasstConfig().max_frames == 1005
    assert thirty_seconds().max_frames >= 3000
    assert (without_overlap().num_rows, without_overlap().max_frames) == (8, 1007)


def test_patches_are_counted_band_by_band_after_two_tokens() -> None:
    own = network()
    mel = torch.randn(1, 128, 48)
    tokens = own.tokens(mel)
    patch = own.patches(mel[:, None, 32:48, 16:32])[0, :, 0, 0]
    expected = patch + own.time_positions[0, :, 0, 1] + own.band_positions[0, :, 2, 0]
    torch.testing.assert_close(tokens[0, 2 + 2 * 3 + 1], expected, atol=1e-5, rtol=0)
    second = own.distillation_token[0, 0] + own.token_positions[0, 1]
    torch.testing.assert_close(tokens[0, 1], second, atol=0, rtol=0)


def test_long_sounds_are_averaged_over_windows() -> None:
    own = network()
    wave = 0.1 * torch.randn(2, 70000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        short = scene_output(own, wave[:, :40000], window_samples=40000, hop_samples=10000)
        direct = own(log_mel(wave[:, :40000]))
        torch.testing.assert_close(short.logits, direct.logits, atol=0, rtol=0)
        whole = scene_output(own, wave, window_samples=40000, hop_samples=10000)
        mirrored = torch.cat([wave[:, 1:20001].flip(1), wave, wave[:, -20001:-1].flip(1)], dim=1)
        each = [own(log_mel(mirrored[:, i : i + 40000])) for i in range(0, 70001, 10000)]
    expected = torch.stack([out.features for out in each]).mean(0)
    torch.testing.assert_close(whole.features, expected, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="at least one sample"):
        scene_output(own, wave, hop_samples=0)


def test_sizes_are_read_off_shapes() -> None:
    for config in (PasstConfig(), thirty_seconds(), without_overlap()):
        with torch.device("meta"):
            entries = untranslate(Passt(config).state_dict(), KEYS)
        assert config_from_entries(entries) == config
    assert config_from_entries(official(network()), num_heads=4).num_heads == 4
    with pytest.raises(WeightsError, match=r"head\.1\.weight is missing"):
        config_from_entries(
            {name: value for name, value in official(network()).items() if "head.1" not in name}
        )
    with pytest.raises(ConfigError, match="multiple of num_heads"):
        PasstConfig(num_heads=7)
