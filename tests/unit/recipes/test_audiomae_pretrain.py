"""Pre-training of Audio-MAE: published numbers, exact resuming, a loss that falls, a picture."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError
from earsight.models.audiomae.config import MaskedAutoencoderConfig
from earsight.models.audiomae.model import MaskedAutoencoder
from earsight.recipes.audiomae_pretrain import (
    SETTINGS,
    AudioMaePretext,
    PretrainRecipe,
    tiny,
    train,
)
from earsight.recipes.pretraining_loop import (
    PICTURE_GAP,
    Pretraining,
    PretrainingData,
    held_out_means,
    picture,
)
from earsight.settings import from_plain, override, to_plain
from earsight.training.distributed import ALONE
from earsight.training.rundir import RunDir


def made() -> MadeCorpus:
    return MadeCorpus("made", (), num_clips=4)


def training_of(
    recipe: PretrainRecipe, corpus: MadeCorpus | None = None
) -> Pretraining[MaskedAutoencoder]:
    pretext = AudioMaePretext(recipe)
    data = PretrainingData([corpus or made()], recipe, settings=pretext.fbank)
    return Pretraining(recipe, pretext, data, ALONE)


def test_settings_are_those_of_paper_and_script() -> None:
    paper, script = SETTINGS["published"](), SETTINGS["script"]()
    assert (paper.num_epochs, script.num_epochs, paper.warmup_epochs) == (32, 33, 3.0)
    assert paper.rate == script.rate == pytest.approx(4e-4)
    assert (paper.lowest_rate, script.lowest_rate) == (1e-6, 0.0)
    assert (paper.cut.start, script.cut.start) == ("cyclic", "first")
    assert paper.masking.ratio == 0.8
    for make in SETTINGS.values():
        assert from_plain(type(make()), json.loads(json.dumps(to_plain(make())))) == make()
    small = MaskedAutoencoder(SETTINGS["small"]().model)
    assert 2e6 < sum(p.numel() for p in small.parameters()) < 5e6


def test_a_killed_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    whole, killed = RunDir(tmp_path / "whole"), RunDir(tmp_path / "killed")
    train(tiny(), whole, corpora=[made()])
    shutil.copytree(whole.path, killed.path)
    shutil.rmtree(killed.path / "model")
    for later in killed.checkpoints()[1:]:
        (later / "state.pt").unlink()
    train(tiny(), killed, corpora=[made()], resume=True)
    own, other = (read_folder(run.path / "model") for run in (whole, killed))
    torch.testing.assert_close(own.tensors, other.tensors, atol=0, rtol=0)
    assert whole.read_log() == killed.read_log()
    MaskedAutoencoder(from_plain(MaskedAutoencoderConfig, own.config)).load_state_dict(own.tensors)
    assert own.extra["statistics"]["num_frames"] == 64
    ended = json.loads((whole.path / "ended.json").read_text())
    assert ended["step"] == ended["exported_step"] == 4
    with pytest.raises(InputError, match="other settings"):
        train(replace(tiny(), seed=1), killed, corpora=[made()], resume=True)


def test_what_was_hidden_is_rebuilt_better_than_before(tmp_path: Path) -> None:
    recipe = replace(
        tiny(), num_epochs=20, warmup_epochs=1.0, base_rate=0.8, check_epochs=5, patience=3
    )
    start = held_out_means(training_of(recipe))["held_out_loss"]
    run = RunDir(tmp_path / "run")
    train(recipe, run, corpora=[made()])
    ended = json.loads((run.path / "ended.json").read_text())
    assert ended["held_out_loss"] < 0.97 * start
    assert ended["held_out_loss"] == pytest.approx(
        min(line["held_out_loss"] for line in run.read_log() if "held_out_loss" in line), abs=1e-5
    )


def test_the_picture_shows_the_clip_whole_hidden_and_rebuilt(tmp_path: Path) -> None:
    shown = picture(training_of(tiny()))
    assert shown.shape == (3 * 128 + 2 * PICTURE_GAP, 64)
    rebuilt, hidden, whole = shown[:128], shown[132:260], shown[264:]
    seen = (hidden == whole) & (hidden > 0)
    assert 0.15 < float(seen.float().mean()) < 0.25, "a quarter is seen, a few bands are silent"
    torch.testing.assert_close(rebuilt[seen], whole[seen])
    assert not torch.equal(rebuilt, whole)


def test_a_run_on_another_corpus_begins_where_its_start_ended(tmp_path: Path) -> None:
    before = RunDir(tmp_path / "before")
    train(replace(tiny(), base_rate=0.8), before, corpora=[made()])
    ended = json.loads((before.path / "ended.json").read_text())
    recipe = override(tiny(), [f"start={before.path / 'model'}", "statistics=start", "seed=5"])
    other = training_of(recipe, MadeCorpus("other", (), num_clips=6, seed=3))
    same = training_of(replace(recipe, seed=0))  # as the start was judged
    assert other.statistics == same.statistics == training_of(tiny()).statistics
    other.data.valid, other.recipe = same.data.valid, same.recipe
    assert held_out_means(other)["held_out_loss"] == pytest.approx(ended["held_out_loss"], abs=1e-6)
    with pytest.raises(InputError, match=r"encoder.width 16, expected 32"):
        training_of(override(recipe, ["model.encoder.width=32"]))


def test_settings_that_make_no_run_are_refused() -> None:
    with pytest.raises(ConfigError, match="statistics 'start' need a start"):
        override(tiny(), ["statistics=start"])
    with pytest.raises(ConfigError, match="no published statistics of 'audiosett'"):
        override(tiny(), ["statistics=audiosett"])
    with pytest.raises(ConfigError, match=r"warmup_epochs \(2\) must lie in 0..num_epochs - 1"):
        override(tiny(), ["warmup_epochs=2.0"])
    with pytest.raises(ConfigError, match="must be at least 1"):
        override(tiny(), ["batch=0"])
    two_phases = ["curriculum.factors=[2]", "curriculum.epochs=[1]"]
    with pytest.raises(ConfigError, match="curriculum: Audio-MAE's patches are square"):
        override(tiny(), [*two_phases, "curriculum.method=patch_inverse"])
    with pytest.raises(ConfigError, match=r"must lie in 0..curriculum.epochs - 1 \(0\): every"):
        override(tiny(), [*two_phases, "warmup_epochs=1.0"])
