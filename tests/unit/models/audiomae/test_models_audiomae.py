"""Audio-MAE: masks, patches, positions, any length, training switches, transfer, files."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.generate.bundles import build_network
from earsight.losses.reconstruction import reconstruction_loss
from earsight.models.audiomae.config import (
    AudioTaggerConfig,
    DecoderConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
    hybrid_decoder,
    vit_base,
    vit_large,
    vit_small,
)
from earsight.models.audiomae.groups import layer_decay_groups, pretraining_groups
from earsight.models.audiomae.masking import Masking, fine_tuning, num_kept
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.audiomae.patches import (
    patchify,
    position_table,
    positions_for,
    unpatchify,
    with_visible,
)
from earsight.models.audiomae.published import (
    TAGGER_KEYS,
    autoencoder_keys,
    carried_encoder,
    carry_encoder,
)
from earsight.models.catalogue import find
from earsight.training.optim import set_rate

SMALL = EncoderConfig(num_frames=128, num_mels=128, width=64, num_layers=3, num_heads=1, hidden=96)
DECODER = DecoderConfig(
    blocks=("window", "shifted_window", "global"),
    width=32,
    num_heads=1,
    window_heads=2,
    hidden=48,
    distance_hidden=8,
)
TAGGER = AudioTaggerConfig(encoder=SMALL, num_classes=5)
GRID = (8, 8)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fbank(frames: int = 128, clips: int = 2) -> Tensor:
    return torch.randn(clips, frames, 128, generator=drawn(1))


def autoencoder(
    encoder: EncoderConfig = SMALL, decoder: DecoderConfig = DECODER
) -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(MaskedAutoencoderConfig(encoder=encoder, decoder=decoder)).eval()


def tagger(config: AudioTaggerConfig = TAGGER) -> AudioTagger:
    torch.manual_seed(0)
    return AudioTagger(config).eval()


def test_masks_hide_whole_columns_and_rows_or_any_tokens() -> None:
    mask = Masking(kind="time_frequency", time=0.7, frequency=0.3).draw(
        (64, 8), batch=2, rng=drawn()
    )
    assert mask.num_kept == 19 * 5 == int((~mask.masked[0]).sum())
    seen = ~mask.masked.reshape(2, 64, 8)
    assert (seen.any(2).sum(1).tolist(), seen.any(1).sum(1).tolist()) == ([19, 19], [5, 5])
    assert (mask.kept.diff(dim=1) > 0).all()  # visible tokens keep their order
    assert not mask.masked.gather(1, mask.kept).any()
    only_time = Masking(kind="time_frequency", time=0.5, frequency=0.0).draw(
        (8, 4), batch=1, rng=drawn()
    )
    assert only_time.masked.reshape(8, 4).all(1).sum() == 4
    anywhere = Masking(ratio=0.8).draw((64, 8), batch=3, rng=drawn())
    assert (anywhere.num_kept, num_kept(512, 0.7)) == (102, 153)
    torch.testing.assert_close(
        anywhere.order.gather(1, anywhere.restore), torch.arange(512).expand(3, -1)
    )
    assert not anywhere.masked.gather(1, anywhere.kept).any()
    assert fine_tuning().draw((64, 8), batch=1, rng=drawn()).num_kept == 51 * 6
    with pytest.raises(ConfigError, match=r"masking 0.9 of 8 leaves nothing"):
        num_kept(8, 0.9)


@pytest.mark.parametrize("stride", [16, 10])
def test_patches_and_back(stride: int) -> None:
    config = replace(SMALL, stride=stride)
    sound, (columns, rows) = fbank(100), replace(SMALL, stride=stride).grid_of(100)
    patches = patchify(sound, config)
    n = (columns - 1) * rows + 2  # the last column's third band
    expected = sound[0, (columns - 1) * stride :][:16, 2 * stride :][:, :16]
    torch.testing.assert_close(patches[0, n], expected.flatten(), atol=0, rtol=0)
    back = unpatchify(patches, config, num_frames=100)
    covered = 16 + (columns - 1) * stride, 16 + (rows - 1) * stride
    whole = torch.zeros_like(sound)
    whole[:, : covered[0], : covered[1]] = sound[:, : covered[0], : covered[1]]
    torch.testing.assert_close(back, whole, atol=1e-6, rtol=0)
    mask = Masking().draw((columns, rows), batch=2, rng=drawn())
    chosen = patchify(sound, config, kept=mask.kept)
    torch.testing.assert_close(
        chosen, patches.gather(1, mask.kept[..., None].expand(-1, -1, 256)), atol=0, rtol=0
    )
    pasted = with_visible(torch.zeros_like(patches), patches, mask.masked)
    assert pasted.any(2).sum() == mask.num_kept * 2


def test_positions_are_scrambled_as_published_and_shorter_clips_take_the_first_rows() -> None:
    assert EncoderConfig().row_of_positions == 64
    assert EncoderConfig(num_frames=512).row_of_positions == 32
    assert EncoderConfig(stride=10).row_of_positions == 12
    table = position_table(num_tokens=512, tokens_per_row=64, width=8)[0]
    assert not table[0].any()
    first, second = table[1 + 64].tolist(), table[1 + 1].tolist()  # row 1; place 1 of row 0
    assert first[:4] == pytest.approx([0, 0, 1, 1])
    assert first[4:] == second[:4] == pytest.approx([0.841471, 0.00999983, 0.5403023, 0.99995])
    full = position_table(num_tokens=600, tokens_per_row=64, width=8)
    stored = full[:, :513] + 1
    longer = positions_for(stored, num_tokens=600, tokens_per_row=64)
    torch.testing.assert_close(longer[:, 513:], full[:, 513:], atol=0, rtol=0)
    torch.testing.assert_close(longer[:, :513], stored, atol=0, rtol=0)
    assert positions_for(stored, num_tokens=100, tokens_per_row=64).shape == (1, 101, 8)


@pytest.mark.parametrize("frames", [16, 49, 128, 330])
def test_any_length_is_encoded_and_reconstructed(frames: int) -> None:
    own, sound = autoencoder(), fbank(frames)
    grid = SMALL.grid_of(frames)
    mask = Masking(ratio=0.6).draw(grid, batch=2, rng=drawn())
    out = own(sound, mask)
    assert out.patches.shape == (2, grid[0] * 8, 256)
    assert out.latent.shape == (2, 1 + mask.num_kept, 64)
    assert reconstruction_loss(out.patches, patchify(sound, SMALL), mask.masked).isfinite()
    assert tagger()(sound).logits.shape == (2, 5)


def test_masked_values_change_no_prediction_and_hidden_tokens_are_not_computed() -> None:
    own, sound = autoencoder(), fbank()
    mask = Masking(ratio=0.75).draw(GRID, batch=2, rng=drawn())
    before = own(sound, mask).patches
    changed = with_visible(torch.zeros(2, 64, 256), patchify(sound, SMALL), mask.masked)
    after = own(unpatchify(changed, SMALL, num_frames=128), mask).patches
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    with pytest.raises(InputError, match="mask has 64 tokens, the spectrogram 32"):
        own(fbank(64), mask)
    with pytest.raises(InputError, match="mask has 64 tokens, the spectrogram 32"):
        tagger()(fbank(64), mask)
    with pytest.raises(InputError, match="15 frames, one patch needs 16"):
        tagger()(fbank(15))


def test_loss_counts_masked_patches_alone_and_normalises_each() -> None:
    patches = torch.randn(1, 3, 256, generator=drawn())
    masked = torch.tensor([[True, False, True]])
    own = patches - patches.mean(2, keepdim=True)
    own = own / (patches.var(2, keepdim=True) + 1e-6).sqrt()
    guess = own.clone()
    guess[0, 0] += 2.0
    guess[0, 1] = 9.0
    assert float(reconstruction_loss(guess, patches, masked)) == pytest.approx(2.0, abs=1e-5)
    plain = reconstruction_loss(patches + 1, patches, masked, normalise=False)
    assert float(plain) == pytest.approx(1.0, abs=1e-5)


def test_training_draws_come_from_the_generator_and_recomputing_changes_nothing() -> None:
    sound, mask = fbank(), Masking().draw(GRID, batch=2, rng=drawn())
    for network, name in ((autoencoder(), "patches"), (tagger(), "logits")):
        network.train()
        results: list[tuple[Tensor, ...]] = []
        for recompute in (False, True):
            network.zero_grad()
            value = getattr(network(sound, mask, rng=drawn(3), recompute=recompute), name)
            value.square().sum().backward()
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            results.append((value.detach(), *gradients))
        assert len(results[0]) > 10
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
        other = getattr(network(sound, mask, rng=drawn(4)), name)
        assert not torch.equal(other, results[0][0])
        with pytest.raises(InputError, match="pass a generator"):
            network(sound, mask)


def test_features_are_the_mean_of_the_last_blocks() -> None:
    own, sound = autoencoder(), fbank()
    layers = list(own.encoder.layers(own.encoder.embed(sound)))
    expected = (own.norm(layers[1]) + own.norm(layers[2])) / 2
    torch.testing.assert_close(own.features(sound, after_block=0), expected, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match=r"after_block must lie in -1..1 \(3 blocks\), got 8"):
        own.features(sound)


def test_groups_fall_by_layer_and_scale_the_rate() -> None:
    groups = layer_decay_groups(tagger(), weight_decay=0.1)
    found = {name: (g.rate_scale, g.weight_decay) for g in groups for name in g.parameters}
    assert set(found) == {name for name, _ in tagger().named_parameters()}
    assert found["encoder.class_token"] == (0.75**4, 0.0)
    assert found["encoder.patches.weight"] == (0.75**4, 0.1)
    assert found["encoder.blocks.2.attention.qkv.weight"] == (0.75, 0.1)
    assert found["norm.weight"] == (1.0, 0.0)
    optimizer = torch.optim.AdamW([group.for_optimizer() for group in groups])
    set_rate(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {
        0.5 * 0.75**power for power in range(5)
    }
    decayed, plain = pretraining_groups(autoencoder(), weight_decay=0.1)
    assert "decoder.mask_token" in decayed.parameters
    assert "decoder.blocks.0.temperature" in plain.parameters


def test_an_encoder_is_carried_to_clips_of_another_length() -> None:
    start = autoencoder(replace(SMALL, num_frames=256))
    config = AudioTaggerConfig(encoder=carried_encoder(start.config.encoder, num_frames=96))
    own = tagger(config)
    carry_encoder(start, own)
    torch.testing.assert_close(own.encoder(fbank(96)), start.encoder(fbank(96)), atol=0, rtol=0)
    with pytest.raises(WeightsError, match="rows of 6 tokens, those of the weights 16"):
        carry_encoder(start, tagger(replace(TAGGER, encoder=replace(SMALL, num_frames=96))))


@pytest.mark.parametrize("name", ["audiomae-pretrained", "audiomae-audioset"])
def test_a_published_file_becomes_a_folder_that_runs(tmp_path: Path, name: str) -> None:
    decoder = replace(DECODER, blocks=("window", "shifted_window"))
    own = autoencoder(decoder=decoder) if name == "audiomae-pretrained" else tagger()
    keys = autoencoder_keys(decoder) if name == "audiomae-pretrained" else TAGGER_KEYS
    state = untranslate(own.state_dict(), keys)
    assert state["patch_embed.proj.weight"].shape == (64, 1, 16, 16)
    arguments = argparse.Namespace(mask_ratio=0.8, norm_pix_loss=True)
    source, record = tmp_path / "given.pth", find(name)
    torch.save({"model": state, "epoch": 32, "scaler": {}, "args": arguments}, source)
    assert not record.commercial
    assert "CC BY-NC 4.0" in record.licence
    done = convert(source, record, tmp_path / "out")
    assert done.parts[0].config == own.config
    folder = read_folder(tmp_path / "out")
    again = build_network(type(own), type(own.config), folder, record.family, torch.device("cpu"))
    mask = Masking().draw(GRID, batch=2, rng=drawn())
    for one, other in zip(again.state_dict().values(), own.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    assert again(fbank(), mask) is not None


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "given.pth"
    torch.save({"model": untranslate(tagger().state_dict(), TAGGER_KEYS)}, source)
    with pytest.raises(WeightsError, match=r"decoder_embed\.weight"):
        convert(source, find("audiomae-pretrained"), tmp_path / "out")


def test_published_sizes_have_the_published_numbers_of_parameters() -> None:
    for encoder, millions in ((vit_small(), 21.60), (vit_base(), 85.659407), (vit_large(), 303.12)):
        config = AudioTaggerConfig(encoder=encoder)
        network = on_meta(lambda config=config: AudioTagger(config))
        total = sum(parameter.numel() for parameter in network.parameters())
        assert total / 1e6 == pytest.approx(millions, abs=1e-9 if encoder == vit_base() else 5e-3)


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(ConfigError, match="a class token lies in no window"):
        DecoderConfig(keeps_class_token=True)
    with pytest.raises(ConfigError, match=r"width \(66\) must be a multiple of num_heads"):
        EncoderConfig(width=66, num_heads=1)
    with pytest.raises(ConfigError, match="stride"):
        EncoderConfig(stride=17)
    assert hybrid_decoder().blocks.count("global") == 4
