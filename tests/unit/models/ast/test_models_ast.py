"""AST: both published layouts, other lengths, the start from a network for pictures."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.generate.bundles import build_network
from earsight.models.ast.config import AstConfig, base, small, speech_commands, tiny
from earsight.models.ast.model import Ast
from earsight.models.ast.published import HUB_KEYS, KEYS, config_from_entries
from earsight.models.ast.start import IMAGE_KEYS, carried_over, for_frames, from_image
from earsight.models.catalogue import find

SMALL = AstConfig(num_frames=128, width=64, hidden=96, num_layers=2, num_heads=1, num_classes=5)


def network(config: AstConfig = SMALL) -> Ast:
    torch.manual_seed(0)
    return Ast(config).eval()


def official(own: Ast) -> dict[str, torch.Tensor]:
    """Entries as the authors publish them, with the classifiers that nothing uses."""
    width = own.config.width
    unused = {
        f"v.{name}.{part}": torch.zeros(size)
        for name in ("head", "head_dist")
        for part, size in (("weight", (7, width)), ("bias", (7,)))
    }
    entries = {**untranslate(own.state_dict(), KEYS), **unused}
    return {f"module.{name}": tensor.contiguous() for name, tensor in entries.items()}


@pytest.mark.parametrize("layout", ["official", "hub"])
def test_a_published_file_becomes_a_folder_that_runs(tmp_path: Path, layout: str) -> None:
    own = network()
    if layout == "official":
        source, name = tmp_path / "ast.pth", "ast-speech-commands"
        torch.save(official(own), source)
    else:
        source, name = tmp_path / "model.safetensors", "hub-ast-finetuned-speech-commands-v2"
        entries = untranslate(own.state_dict(), HUB_KEYS)
        save_file({key: tensor.contiguous() for key, tensor in entries.items()}, source)
    done = convert(source, find(name), tmp_path / "out")
    assert done.parts[0].config == SMALL
    assert len(done.parts[0].account.dropped) == (4 if layout == "official" else 0)
    folder = read_folder(tmp_path / "out")
    assert folder.extra["statistics"] == "speech_commands_v2"
    again = build_network(Ast, AstConfig, folder, "ast", torch.device("cpu"))
    mel = torch.randn(2, 128, 128)
    torch.testing.assert_close(again(mel).logits, own(mel).logits, atol=0, rtol=0)


def test_the_hub_holds_query_key_and_value_apart() -> None:
    own = network()
    entries = untranslate(own.state_dict(), HUB_KEYS)
    stacked = own.encoder.blocks[1].attention.qkv.weight
    for place, name in enumerate(("query", "key", "value")):
        path = "audio_spectrogram_transformer.encoder.layer.1.attention.attention"
        part = stacked[64 * place : 64 * (place + 1)]
        assert torch.equal(entries[f"{path}.{name}.weight"], part)


def test_the_file_is_named_without_the_request_behind_it() -> None:
    assert find("ast-stride12-4467").file_name == "audioset_12_12_0.4467.pth"


def test_patches_are_counted_band_by_band_behind_two_tokens() -> None:
    encoder, mel = network().encoder, torch.randn(1, 128, 128)
    patch = encoder.patches(mel.mT[:, None, 20:36, 30:46])[0, :, 0, 0]
    torch.testing.assert_close(encoder.embed(mel)[0, 2 * 12 + 3], patch, atol=1e-5, rtol=0)
    tokens = encoder.encode(encoder.embed(mel))
    assert tokens.shape == (1, 2 + 12 * 12, 64)
    own = network()
    expected = (tokens[:, 0] + tokens[:, 1]) / 2
    torch.testing.assert_close(own(mel).features, expected, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match=r"127 frames of 128 bands, .* for 128 frames of 128"):
        own(torch.zeros(1, 127, 128))


def test_sizes_are_read_off_shapes() -> None:
    strided = [replace(base(), strides=(n, n)) for n in (10, 12, 14, 16)]
    for config in (*strided, small(), tiny(), speech_commands()):
        own = on_meta(lambda config=config: Ast(config))
        assert config_from_entries(untranslate(own.state_dict(), KEYS)) == config
    own = on_meta(lambda: Ast(replace(SMALL, strides=(16, 16))))
    entries = untranslate(own.state_dict(), KEYS)
    with pytest.raises(WeightsError, match=r"strides \(15, 15\).*strides \(16, 16\): tell"):
        config_from_entries(entries)
    told = config_from_entries(entries, strides=(16, 16))
    assert told.strides == (16, 16)
    with pytest.raises(WeightsError, match=r"64 patches .* fit no input of \(300,\) frames"):
        config_from_entries(entries, num_frames=300)
    with pytest.raises(WeightsError, match=r"v\.dist_token is missing"):
        config_from_entries({k: v for k, v in entries.items() if k != "v.dist_token"})


def test_a_shorter_clip_takes_the_middle_of_the_positions() -> None:
    own = network()
    shorter = for_frames(own, 96)
    assert shorter.config.grid == (12, 9)
    table = own.encoder.positions[0, 2:].reshape(12, 12, 64)
    found = shorter.encoder.positions[0]
    torch.testing.assert_close(found[2:].reshape(12, 9, 64), table[:, 2:11], atol=0, rtol=0)
    torch.testing.assert_close(found[:2], own.encoder.positions[0, :2], atol=0, rtol=0)
    torch.testing.assert_close(shorter.head.weight, own.head.weight, atol=0, rtol=0)
    same = for_frames(own, 128).eval()
    mel = torch.randn(1, 128, 128)
    torch.testing.assert_close(same(mel).logits, own(mel).logits, atol=0, rtol=0)


def test_other_classes_need_a_new_classifier_and_other_layers_other_weights() -> None:
    own, config = network(), replace(SMALL, num_classes=3)
    fresh = carried_over(own, config)
    assert fresh(torch.zeros(1, 128, 128)).logits.shape == (1, 3)
    kernel = own.encoder.patches.weight
    torch.testing.assert_close(fresh.encoder.patches.weight, kernel, atol=0, rtol=0)
    with pytest.raises(WeightsError, match=r"head\.weight file \(5, 64\) model \(3, 64\)"):
        carried_over(own, config, keep_head=True)
    with pytest.raises(ConfigError, match=r"width 64, 2 layers, the config .* 3 layers"):
        carried_over(own, replace(SMALL, num_layers=3))
    with pytest.raises(ConfigError, match="multiple of num_heads"):
        AstConfig(num_heads=7)


def test_the_start_from_pictures_answers_a_grey_picture_alike() -> None:
    own = network(replace(SMALL, num_mels=64, num_frames=64, strides=(16, 16)))
    encoder = {k: v for k, v in own.state_dict().items() if k.startswith("encoder.")}
    entries = untranslate(encoder, IMAGE_KEYS)
    colours = torch.randn(64, 3, 16, 16)
    entries["patch_embed.proj.weight"] = colours
    entries["head.weight"] = torch.zeros(10, 64)
    started = from_image(SMALL, entries)
    picture = torch.randn(1, 1, 16, 16)
    bias = entries["patch_embed.proj.bias"]
    expected = torch.nn.functional.conv2d(picture.expand(-1, 3, -1, -1), colours, bias)
    torch.testing.assert_close(started.encoder.patches(picture), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(started.encoder.class_token, entries["cls_token"], atol=0, rtol=0)
    assert started.encoder.positions.shape == (1, 2 + 12 * 12, 64)
    with pytest.raises(WeightsError, match="positions of a square picture, got 15 patches"):
        from_image(SMALL, {**entries, "pos_embed": torch.zeros(1, 17, 64)})
