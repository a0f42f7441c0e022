"""HTS-AT: clips of any length, published files, phases of training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import load_strict, untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.generate.bundles import build_network
from earsight.models.catalogue import find
from earsight.models.htsat.config import HtsatConfig, audioset, coarse
from earsight.models.htsat.image import crops, fold, unfold
from earsight.models.htsat.model import Htsat, PatchMerging
from earsight.models.htsat.published import (
    KEYS,
    NOT_IN_IMAGES,
    PREFIX,
    config_from_entries,
    image_start,
)
from earsight.models.htsat.scene import shifted_scores, timeline
from earsight.models.htsat.transfer import for_picture, network_macs, resize_bias
from earsight.training.warm_start import warm_start

# two chunks of 64 frames of 32 bands; maps of 16 x 16 and 8 x 8
SMALL = HtsatConfig(
    picture=64, num_mels=32, window=8, width=8, depths=(2, 2), num_heads=(1, 2), num_classes=5
)


def network(config: HtsatConfig = SMALL) -> Htsat:
    torch.manual_seed(0)
    made = Htsat(config).eval()
    torch.nn.init.normal_(made.band_norm.running_mean)
    return made


def mel(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def official(own: Htsat) -> dict[str, torch.Tensor]:
    """Entries as averaged weight files hold them: counters as floats, constants beside weights."""
    entries = untranslate(own.state_dict(), KEYS)
    entries["bn0.num_batches_tracked"] = torch.tensor(7.0)
    entries["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 64, 64)
    entries["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(64, 64)
    entries["logmel_extractor.melW"] = torch.zeros(513, 32)
    return {**entries, "head.weight": torch.zeros(5, 5), "head.bias": torch.zeros(5)}


def test_a_training_checkpoint_becomes_a_folder_that_runs(tmp_path: Path) -> None:
    own, source = network(), tmp_path / "saved.ckpt"
    state = {PREFIX + name: value for name, value in official(own).items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": [{"state": {}}]}, source)
    done = convert(source, find("htsat-audioset-1"), tmp_path / "out")
    assert done.parts[0].config == SMALL
    assert len(done.parts[0].account.dropped) == 5
    folder = read_folder(tmp_path / "out")
    again = build_network(Htsat, HtsatConfig, folder, "htsat", torch.device("cpu"))
    assert again.band_norm.num_batches_tracked == 7
    x = mel(2, 100, 32)
    torch.testing.assert_close(again(x).scores, own(x).scores, atol=1e-6, rtol=0)


def test_sizes_are_read_off_shapes() -> None:
    entries = official(network())
    assert config_from_entries(entries) == SMALL
    assert config_from_entries(entries, labels="one").labels == "one"
    unmoved = {name: value for name, value in entries.items() if "attn_mask" not in name}
    with pytest.raises(WeightsError, match="pass picture"):
        config_from_entries(unmoved)
    assert config_from_entries(unmoved, picture=64) == SMALL
    with pytest.raises(WeightsError, match=r"tscam_conv\.weight is missing"):
        config_from_entries({n: v for n, v in entries.items() if "tscam" not in n})


def test_sizes_that_make_no_network_are_refused() -> None:
    published = audioset()
    assert (published.max_frames, published.last_width, published.grid(3)) == (1024, 768, (8, 8))
    for wrong, told in (
        ({"picture": 192}, "stage 3 has a map of 12 x 12"),
        ({"num_mels": 100, "picture": 256}, None),
        ({"num_heads": (4, 8)}, "4 stages but heads for 2"),
        ({"patch": 2}, "do not tile"),
        ({"num_mels": 48, "picture": 256}, "does not divide into 5 chunks"),
        ({"drop_path": 1.0}, "drop_path"),
    ):
        if told is None:
            assert replace(published, **wrong).image_bands == 128  # 100 bands are stretched
            continue
        with pytest.raises(ConfigError, match=told):
            replace(published, **wrong)


def test_a_picture_stacks_time_and_a_map_lays_it_out_again() -> None:
    x = torch.arange(4.0)[:, None] * 10 + torch.arange(3.0)  # frame 10 t, band m
    folded = fold(x[None], num_chunks=2)[0]
    assert folded[:, 0].tolist() == [0, 1, 2, 20, 21, 22]
    assert folded[0].tolist() == [0, 10]
    assert unfold(folded[None, :, :, None], num_chunks=2)[0, 0].mT.tolist() == x.tolist()


def test_merging_takes_the_token_below_before_the_one_to_the_right() -> None:
    merge = PatchMerging(1)
    merge.norm = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    torch.nn.init.eye_(merge.reduce.weight)
    x = torch.tensor([[1.0, 2], [3, 4]])[None, :, :, None]
    assert merge(x).flatten().tolist() == [1, 3]


def test_short_clips_are_stretched_or_repeated() -> None:
    own, x = network(), mel(1, 40, 32)
    assert own(x).framewise.shape == (1, 2 * 8 * 32, 5)
    thrice = own(x.repeat(1, 3, 1))
    torch.testing.assert_close(own(x, short="repeat").scores, thrice.scores, atol=0, rtol=0)
    assert not torch.allclose(own(x).scores, thrice.scores, atol=1e-4)
    with pytest.raises(InputError, match="expected 32 mel bands, got 31"):
        own(mel(1, 40, 31))


def test_long_clips_are_means_over_parts() -> None:
    starts = {num: len(crops(mel(1, num, 1), max_frames=1024)) for num in (1025, 1501, 1502)}
    assert starts == {1025: 2, 1501: 2, 1502: 3}
    assert [len(part[0]) for part in crops(mel(1, 1502, 1), max_frames=1024)] == [750] * 3
    own, x = network(), mel(2, 129, 32)
    parts = [own(x[:, start : start + 64]).framewise for start in (0, 32)]
    torch.testing.assert_close(own(x).framewise, torch.stack(parts).mean(0), atol=1e-5, rtol=0)
    # longer than the published rule covers: whole pictures every half of one
    long = mel(2, 700, 32)
    places = [*range(0, 572, 64), 572]
    each = [own(long[:, start : start + 128]).scores for start in places]
    torch.testing.assert_close(own(long).scores, torch.stack(each).mean(0), atol=1e-5, rtol=0)


def test_a_timeline_has_a_value_at_every_frame() -> None:
    own = network()
    torch.nn.init.normal_(own.token_head.weight)
    short = mel(1, 100, 32)
    steps = own(short).framewise[0]
    line = timeline(own, short)[0]
    assert line.shape == (100, 5)
    torch.testing.assert_close(line[[0, -1]], steps[[0, -1]], atol=0, rtol=0)
    long = mel(2, 300, 32)
    whole = timeline(own, long)
    first, second = (timeline(own, long[:, s : s + 128]) for s in (0, 64))
    torch.testing.assert_close(whole[:, 10], first[:, 10], atol=1e-5, rtol=0)
    expected = (first[:, 100] + second[:, 36]) / 2
    torch.testing.assert_close(whole[:, 100], expected, atol=1e-5, rtol=0)


def test_shifts_add_up_and_move_the_start_away() -> None:
    own, seen = network(), []

    def front_end(wave: torch.Tensor) -> torch.Tensor:
        seen.append(int(wave[0].argmax()))
        return mel(1, 128, 32)

    wave = torch.zeros(1, 2000)
    wave[0, 1999] = 1
    scores = shifted_scores(own, wave, front_end, num_shifts=5)
    assert seen == [1999, 1899, 1699, 1399, 999]
    torch.testing.assert_close(scores, own(mel(1, 128, 32)).scores, atol=1e-6, rtol=0)


def test_recomputing_gives_the_same_gradients_with_the_same_clips_left_out() -> None:
    own = network(replace(SMALL, drop_path=0.5)).train()
    norms = []
    for recompute in (False, True):
        own.zero_grad()
        rng = torch.Generator().manual_seed(5)
        own(mel(3, 128, 32), rng=rng, recompute=recompute).logits.square().sum().backward()
        norms.append([float(p.grad.norm()) for p in own.parameters() if p.grad is not None])
    assert norms[0] == pytest.approx(norms[1], abs=1e-6, rel=1e-5)
    other = own(mel(3, 128, 32), rng=torch.Generator().manual_seed(6)).logits
    own_again = own(mel(3, 128, 32), rng=torch.Generator().manual_seed(5)).logits
    assert not torch.allclose(other, own_again, atol=1e-6)
    with pytest.raises(InputError, match="pass a generator"):
        own(mel(3, 128, 32))


def test_a_change_acts_on_normalised_bands() -> None:
    own = network()
    silent = own.score_picture(torch.zeros(1, 64, 64)).scores
    changed = own(mel(1, 128, 32), change=lambda x: torch.zeros_like(x)).scores
    torch.testing.assert_close(changed, silent, atol=0, rtol=0)


def test_a_quarter_of_the_frames_takes_a_quarter_of_the_work() -> None:
    small = coarse(audioset(), 4)
    assert (small.picture, small.max_frames, small.num_chunks) == (128, 256, 2)
    assert network_macs(audioset()) == pytest.approx(5.985e9, rel=1e-4)
    assert network_macs(small) / network_macs(audioset()) == pytest.approx(0.2496, abs=5e-5)
    with pytest.raises(ConfigError, match="square number"):
        coarse(audioset(), 2)


def test_weights_go_from_a_small_picture_to_a_large_one() -> None:
    config = HtsatConfig(width=8, depths=(1, 1, 1, 2), num_heads=(1, 1, 1, 2), num_classes=3)
    before = network(coarse(config, 4))
    after = network(config)
    entries = for_picture(before.state_dict(), config)
    load_strict(after, entries)
    last = "stages.3.blocks.1.attention.bias_table"
    assert before.state_dict()[last].shape == (49, 2)
    assert after.state_dict()[last].shape == (225, 2)
    ramp = torch.arange(49.0).reshape(7, 7)[:, :1].expand(7, 7).reshape(49, 1)
    grown = resize_bias(ramp, window=8).reshape(15, 15)
    assert grown[0, 0] == 0
    assert grown[1, 0] == pytest.approx(1.4, abs=1e-5)  # corners are not aligned
    assert grown[7, 3] == pytest.approx(21, abs=1e-5)  # the middle stays the middle
    assert grown[14, 14] == 42


def test_training_starts_from_a_network_of_pictures() -> None:
    own = network()
    entries = {n: v for n, v in official(own).items() if not n.startswith(("bn0", "tscam", "log"))}
    entries["patch_embed.proj.weight"] = torch.cat(
        [own.patches.weight.detach() * share for share in (0.5, 1.0, 1.5)], dim=1
    )
    fresh = Htsat(SMALL)
    start = warm_start(fresh, image_start(entries), fresh=NOT_IN_IMAGES)
    torch.testing.assert_close(fresh.patches.weight, own.patches.weight, atol=1e-6, rtol=0)
    assert {name.partition(".")[0] for name in start.fresh} == {"band_norm", "token_head"}
