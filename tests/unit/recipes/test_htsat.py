"""Training of HTS-AT: published numbers, what is random about a clip, phases, exact resuming."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.checkpoints.native import read_folder, save_folder
from earsight.errors import ConfigError, InputError
from earsight.generate.listeners import build_listener
from earsight.models.htsat.config import HtsatConfig
from earsight.models.htsat.model import Htsat
from earsight.nn.drop_path import branch_scales
from earsight.recipes.htsat import SETTINGS, tiny, train
from earsight.recipes.htsat_tagging import HtsatRecipe, HtsatTagging, open_htsat
from earsight.recipes.tagger_clips import TaggerData
from earsight.settings import from_plain, override, to_plain
from earsight.training.coarse_to_fine import Compression
from earsight.training.distributed import ALONE
from earsight.training.rundir import RunDir

FULL = Compression(method="frame_shift", factor=1)
COARSE = Compression(method="frame_shift", factor=4)
IN_PHASES = ["curriculum.factors=[4]", "curriculum.epochs=[2]", "save_every=1"]


def made() -> MadeCorpus:
    return MadeCorpus("made", ("low", "high"))


def tagging_of(recipe: HtsatRecipe, start: str = "") -> tuple[HtsatTagging, TaggerData]:
    data = TaggerData([made()], recipe.draws, memory_gb=0.1, seed=0, rate_hz=32000, min_samples=513)
    return HtsatTagging(recipe, data, ALONE, start=open_htsat(start, data.class_names)), data


def rngs(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in range(count)]


@pytest.mark.parametrize(
    ("name", "classes", "rate_hz", "hop", "loss", "group", "fill", "epochs", "best", "early"),
    [
        ("audioset", 527, 32000, 320, "binary", 32, "padding", (0, 100), 20, 2e-5),
        ("audioset_paper", 527, 32000, 320, "binary", 32, "padding", (0, 100), 20, 5e-5),
        ("esc50", 50, 32000, 320, "softmax", None, "repeat", (0, 100), 0, 2e-5),
        ("speech_commands_2", 35, 16000, 160, "binary", None, "repeat", (0, 100), 0, 2e-5),
        ("coarse_audioset", 527, 32000, 320, "binary", 32, "padding", (7, 18), 15, 2e-5),
        ("coarse_vggsound", 309, 32000, 320, "softmax", None, "padding", (14, 36), 0, 2e-5),
    ],
)
def test_settings_are_those_of_papers_and_code(
    name: str,
    classes: int,
    rate_hz: int,
    hop: int,
    loss: str,
    group: int | None,
    fill: str,
    epochs: tuple[int, int],
    best: int,
    early: float,
) -> None:
    recipe = SETTINGS[name]()
    assert (recipe.model.num_classes, recipe.draws.batch) == (classes, 128)
    assert (recipe.mel.rate_hz, recipe.mel.hop_samples) == (rate_hz, hop)
    assert (recipe.loss, recipe.mixup_group, recipe.changes.cut.fill) == (loss, group, fill)
    assert (sum(recipe.curriculum.epochs), recipe.num_epochs) == epochs
    assert recipe.draws.balanced == (group is not None)
    assert (recipe.average_best, recipe.clip, recipe.weight_decay) == (best, 1.0, 0.05)
    rate = recipe.schedule.rate(0, peak=recipe.peak_rate, steps_per_epoch=5, num_epochs=100)
    assert (rate, recipe.num_frames(FULL)) == (pytest.approx(early), 1001)
    stripes = recipe.changes.stripes
    assert (stripes.num_time, stripes.time_width, stripes.band_width) == (2, 64, 8)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_survive_json(name: str) -> None:
    recipe = SETTINGS[name]()
    assert from_plain(HtsatRecipe, json.loads(json.dumps(to_plain(recipe)))) == recipe


def test_a_killed_run_ends_the_same_across_phases(tmp_path: Path) -> None:
    recipe = override(tiny(), [*IN_PHASES, "average_best=2"])
    whole = RunDir(tmp_path / "whole", keep=9)
    train(recipe, whole, corpora=[made()])
    own = read_folder(whole.path / "model")
    for last in (1, 3):  # in the coarse phase, and after a step at full resolution
        killed = RunDir(tmp_path / f"killed{last}", keep=9)
        shutil.copytree(whole.path, killed.path)
        shutil.rmtree(killed.path / "model")
        for later in killed.checkpoints()[last:]:
            shutil.rmtree(later)
        train(recipe, killed, corpora=[made()], resume=True)
        other = read_folder(killed.path / "model")
        torch.testing.assert_close(own.tensors, other.tensors, atol=0, rtol=0)
        assert whole.read_log() == killed.read_log()
    scores = json.loads((whole.path / "scores.json").read_text())
    assert [epoch["factor"] for epoch in scores["epochs"]] == [4, 4, 1, 1]
    states = [whole.load_weights(step)["token_head.weight"] for step in (3, 4)]
    expected = (states[0] + states[1]) / 2
    torch.testing.assert_close(own.tensors["token_head.weight"], expected, atol=1e-6, rtol=0)
    assert from_plain(HtsatConfig, own.config).labels == "one"
    listener = build_listener(own, torch.device("cpu"))
    assert (listener.rate_hz, listener.window_samples, listener.labels) == (32000, 25600, "one")


def test_a_phase_takes_all_weights_of_the_one_before() -> None:
    tagging, data = tagging_of(override(tiny(), IN_PHASES))
    coarse = tagging.network(COARSE)
    torch.nn.init.normal_(coarse.band_norm.weight)
    fine = tagging.carried(coarse, COARSE, FULL)
    assert (coarse.config.picture, fine.config.picture) == (64, 128)
    before, after = coarse.state_dict(), fine.state_dict()
    resized = {name for name in before if before[name].shape != after[name].shape}
    assert resized == {
        "stages.2.blocks.0.attention.bias_table",
        "stages.3.blocks.0.attention.bias_table",
    }
    assert all(torch.equal(before[name], after[name]) for name in before if name not in resized)
    shapes = [tagging.whole(data.valid, [0], phase).shape for phase in (FULL, COARSE)]
    pooled = tagging.whole(data.valid, [0], replace(COARSE, method="max_pool"))
    assert [*shapes, pooled.shape] == [(2, 81, 64), (2, 21, 64), (2, 20, 64)]


def test_a_clip_is_mixed_within_its_group_and_keeps_its_classes() -> None:
    recipe = override(tiny(), ["changes.mixup=0", "changes.cut.start=first"])
    tagging, data = tagging_of(recipe)
    batch = tagging.draw(data.train, [0, 1, 2, 3], rngs(4), FULL)
    assert torch.equal(batch.targets, data.train.targets)
    bare, _ = tagging_of(override(recipe, ["changes.stripes.num_time=0", "mixup_group=2"]))
    ones = torch.arange(4.0)[:, None, None].expand(4, 81, 64)
    mixed = bare.changed(ones, rngs(4), factor=1)[:, 0].amax(1)
    shares = [float(value) for value in (1 - mixed[0], mixed[1], 3 - mixed[2], mixed[3] - 2)]
    assert all(0 <= share <= 1 for share in shares)
    assert len(set(shares)) == 4


def test_changes_do_not_depend_on_how_a_batch_is_shared_out() -> None:
    tagging, _ = tagging_of(tiny())
    x = torch.randn(4, 81, 64, generator=torch.Generator().manual_seed(5))
    whole = tagging.changed(x, rngs(4), factor=1)
    halves = [tagging.changed(x[n : n + 2], rngs(4)[n : n + 2], factor=1) for n in (0, 2)]
    assert torch.equal(whole, torch.cat(halves))
    scales = branch_scales([0.0, 0.5, 0.5], 4, rng=rngs(4))
    assert torch.equal(scales[:, 2:], branch_scales([0.0, 0.5, 0.5], 2, rng=rngs(4)[2:]))


def test_a_start_keeps_its_last_layer_for_the_same_classes_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = Htsat(replace(tiny().model, num_classes=2))
    torch.nn.init.normal_(before.token_head.weight, std=9.0)
    for names in (["low", "high"], ["one", "two"]):
        folder = tmp_path / names[0]
        extra = {"class_names": names}
        save_folder(folder, "htsat", before.config, before.state_dict(), extra=extra)
        tagging, _ = tagging_of(tiny(), str(folder))
        for phase in (FULL, COARSE):
            found = tagging.network(phase)
            assert torch.equal(found.norm.weight, before.norm.weight)
            assert torch.equal(found.patches.weight, before.patches.weight)
            same = torch.equal(found.token_head.weight, before.token_head.weight)
            assert same == (names[0] == "low")
    with pytest.raises(InputError, match=r"there is no file nowhere\.pth: download swin_tiny"):
        open_htsat("nowhere.pth", ["low", "high"])


def test_settings_that_make_no_run_are_refused() -> None:
    for changes, message in (
        (["curriculum.factors=[2]", "curriculum.epochs=[1]"], "use a square number such as 4"),
        ([*IN_PHASES, "curriculum.method=patch_bilinear"], "patches of any length"),
        (["mixup_group=3"], "4 clips make no groups of 3"),
        (["changes.uniform_noise=true"], "HTS-AT has none"),
        (["mel.num_mels=32"], "32 bands, the network 64"),
        (["clip_seconds=2.6"], "2.6 s have 261 frames at factor 1, .* holds 2 to 256"),
        (["changes.stripes.time_width=90"], "stripes of up to 90 frames do not fit 81"),
        (["average_best=2", "decay=0.9"], "neither average_epochs nor decay"),
        (["draws.weighted=true"], "weighted or balanced"),
    ):
        with pytest.raises(ConfigError, match=message):
            override(tiny(), changes)
