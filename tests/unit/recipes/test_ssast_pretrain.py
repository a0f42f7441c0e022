"""Pre-training of SSAST: published numbers, share of hidden patches, a loss that falls, weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus
from torch.nn import functional

from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError
from earsight.models.ssast.config import SsastConfig
from earsight.models.ssast.model import Ssast
from earsight.recipes.pretraining_loop import (
    PICTURE_GAP,
    Pretraining,
    PretrainingData,
    held_out_means,
    picture,
)
from earsight.recipes.ssast_pretrain import (
    SETTINGS,
    SsastPretext,
    SsastRecipe,
    tiny,
    train,
)
from earsight.settings import from_plain, override, to_plain
from earsight.training.coarse_to_fine import Compression
from earsight.training.distributed import ALONE
from earsight.training.rundir import RunDir


def made() -> MadeCorpus:
    return MadeCorpus("made", (), num_clips=4)


def training_of(recipe: SsastRecipe) -> Pretraining[Ssast]:
    pretext = SsastPretext(recipe)
    data = PretrainingData([made()], recipe, settings=pretext.fbank)
    return Pretraining(recipe, pretext, data, ALONE)


def test_settings_are_the_published_ones() -> None:
    base, frame, small = (SETTINGS[name]() for name in ("published", "frame", "tiny_published"))
    assert (base.batch, base.peak_rate, base.num_epochs, base.check_every) == (24, 1e-4, 10, 4000)
    assert (base.betas, base.weight_decay, base.halve_patience) == ((0.95, 0.999), 5e-7, 2)
    assert (base.statistics, base.num_masked, base.rebuild_weight) == ("audioset", 400, 10.0)
    assert (base.cut.start, base.cut.gain, base.cut.fill) == ("first", "none", "padding")
    assert frame.model.patch == (128, 2)
    assert (small.model.width, small.batch, small.peak_rate, small.check_every) == (
        (192, 120, 5e-4, 800)
    )
    rates = [SsastPretext(base).rate(s, steps_per_epoch=9, num_epochs=10) for s in (0, 520, 9999)]
    assert rates == pytest.approx([0.0, 5e-5, 1e-4])
    for make in SETTINGS.values():
        assert from_plain(SsastRecipe, json.loads(json.dumps(to_plain(make())))) == make()


@pytest.mark.parametrize("method", ["frame_shift", "average_pool", "max_pool", "patch_inverse"])
@pytest.mark.parametrize("setting", ["published", "frame"])
def test_the_share_of_hidden_patches_is_the_same_in_every_phase(method: str, setting: str) -> None:
    recipe = SETTINGS[setting]()
    pretext = SsastPretext(replace(recipe, model=replace(recipe.model, width=4, num_heads=1)))
    coarse = Compression(method=method, factor=4)  # pyright: ignore[reportArgumentType]
    with torch.device("meta"):
        network = pretext.network(coarse)
    hidden = pretext.hidden(network, [torch.Generator().manual_seed(0)])
    assert (network.config.num_patches, hidden.shape) == (128, (1, 100))
    assert len(set(hidden[0].tolist())) == 100


def test_both_losses_fall_and_the_model_folder_opens(tmp_path: Path) -> None:
    recipe = replace(tiny(), num_epochs=12, peak_rate=2e-2, check_epochs=4)
    before = held_out_means(training_of(recipe))
    run = RunDir(tmp_path / "run")
    train(recipe, run, corpora=[made()])
    ended = json.loads((run.path / "ended.json").read_text())
    assert ended["held_out_match"] < before["held_out_match"]
    assert ended["held_out_rebuild"] < 0.9 * before["held_out_rebuild"]
    folder = read_folder(run.path / "model")
    assert (folder.family, folder.extra["statistics"]["num_frames"]) == ("ssast", 64)
    Ssast(from_plain(SsastConfig, folder.config)).load_state_dict(folder.tensors)
    assert "20 hidden of 32 patches" in (run.path / "model" / "card.md").read_text()


def test_longer_patches_predict_the_same_picture_smoother() -> None:
    pretext = SsastPretext(tiny())
    torch.manual_seed(0)
    coarse = Compression(method="patch_bilinear", factor=2)
    network = pretext.network(coarse)
    after = pretext.carried(network, replace(coarse, factor=1))
    assert (network.config.patch, after.config.patch) == ((16, 32), (16, 16))
    token = torch.randn(1, 16)
    long = network.rebuild_head(token).detach().view(1, 1, 16, 32)
    short = after.rebuild_head(token).detach().view(1, 1, 16, 16)
    wanted = functional.interpolate(long, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(short, wanted, atol=1e-5, rtol=0)


def test_the_picture_shows_the_clip_whole_hidden_and_rebuilt() -> None:
    shown = picture(training_of(tiny()))
    assert shown.shape == (3 * 128 + 2 * PICTURE_GAP, 64)
    rebuilt, hidden, whole = shown[:128], shown[132:260], shown[264:]
    seen = (hidden == whole) & (hidden > 0)
    assert 0.3 < float(seen.float().mean()) < 0.4, "12 of 32 patches are seen"
    torch.testing.assert_close(rebuilt[seen], whole[seen])
    assert not torch.equal(rebuilt, whole)


def test_settings_that_make_no_run_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"num_masked \(31 of 32 patches, 31 with a factor of 1"):
        override(tiny(), ["num_masked=31"])
    with pytest.raises(ConfigError, match="64 frames do not divide by 5"):
        override(tiny(), ["curriculum.factors=[5]", "curriculum.epochs=[1]"])
    with pytest.raises(ConfigError, match="a batch of 2 makes no 3 equal parts"):
        override(tiny(), ["num_parts=3"])
    with pytest.raises(ConfigError, match="the same share of the patches in every phase"):
        override(tiny(), ["curriculum.scaled_masks=false"])
