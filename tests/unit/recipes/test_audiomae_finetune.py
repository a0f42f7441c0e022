"""Fine-tuning of Audio-MAE: published numbers, its start, exact resuming, what it learns."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.checkpoints.native import read_folder, save_folder
from earsight.errors import ConfigError, InputError
from earsight.models.audiomae.config import AudioTaggerConfig
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.recipes import audiomae_finetune, audiomae_pretrain
from earsight.recipes.audiomae_finetune import SETTINGS, AudioMaeTagging, FinetuneRecipe, tiny
from earsight.recipes.audiomae_finetune import train as finetune
from earsight.recipes.tagger_clips import TaggerData
from earsight.settings import from_plain, override, to_plain
from earsight.training.coarse_to_fine import Compression
from earsight.training.distributed import ALONE
from earsight.training.rundir import RunDir


def made() -> MadeCorpus:
    return MadeCorpus("made", ("low", "high"), num_clips=4)


@pytest.mark.parametrize(
    ("name", "frames", "batch", "rate", "epochs", "warmup", "stripes", "mixup", "noise", "loss"),
    [
        ("audioset", 1024, 512, 4e-4, 100, 20, (192, 48), 0.5, None, "binary"),
        ("audioset_script", 1024, 256, 2e-4, 100, 10, (192, 48), 0.5, None, "binary"),
        ("audioset_20k", 1024, 32, 1.25e-4, 60, 4, (192, 48), 0.5, None, "binary"),
        ("esc50", 512, 64, 2.5e-4, 60, 4, (96, 24), 0.0, None, "softmax"),
        ("speech_commands_2", 128, 256, 1e-3, 60, 4, (48, 48), 0.5, 20.0, "binary"),
        ("speech_commands_1", 128, 256, 1e-3, 10, 1, (48, 48), 0.5, 20.0, "binary"),
        ("speakers", 1024, 64, 2.5e-4, 60, 4, (192, 48), 0.0, 20.0, "softmax"),
    ],
)
def test_settings_are_those_of_paper_and_scripts(
    name: str,
    frames: int,
    batch: int,
    rate: float,
    epochs: int,
    warmup: int,
    stripes: tuple[int, int],
    mixup: float,
    noise: float | None,
    loss: str,
) -> None:
    recipe = SETTINGS[name]()
    assert (recipe.model.encoder.num_frames, recipe.draws.batch) == (frames, batch)
    assert recipe.rate == pytest.approx(rate)
    assert (recipe.num_epochs, recipe.warmup_epochs) == (epochs, warmup)
    found = recipe.changes.stripes
    assert (found.time_width, found.band_width) == stripes
    assert (recipe.changes.mixup, recipe.changes.noise_db, recipe.loss) == (mixup, noise, loss)
    script = name.endswith("script")
    assert (recipe.weight_decay, recipe.masking.time) == ((5e-4, 0.2) if script else (1e-4, 0.3))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_survive_json(name: str) -> None:
    recipe = SETTINGS[name]()
    assert from_plain(FinetuneRecipe, json.loads(json.dumps(to_plain(recipe)))) == recipe


def test_a_killed_run_ends_in_the_same_weights_and_scores(tmp_path: Path) -> None:
    whole, killed = RunDir(tmp_path / "whole"), RunDir(tmp_path / "killed")
    finetune(tiny(), whole, corpora=[made()])
    shutil.copytree(whole.path, killed.path)
    shutil.rmtree(killed.path / "model")
    for later in killed.checkpoints()[1:]:
        (later / "state.pt").unlink()
    finetune(tiny(), killed, corpora=[made()], resume=True)
    own, other = (read_folder(run.path / "model") for run in (whole, killed))
    torch.testing.assert_close(own.tensors, other.tensors, atol=0, rtol=0)
    assert whole.read_log() == killed.read_log()
    assert own.extra["class_names"] == ["low", "high"]
    assert (own.extra["labels"], own.extra["statistics"]["num_frames"]) == ("one", 64)
    AudioTagger(from_plain(AudioTaggerConfig, own.config)).load_state_dict(own.tensors)
    scores = json.loads((whole.path / "scores.json").read_text())
    assert (scores["split"], scores["overall"]["num_clips"]) == ("valid", 4)
    assert [epoch["step"] for epoch in scores["epochs"]] == [2, 4]
    assert "| all | 4 |" in (whole.path / "model" / "card.md").read_text()


def test_the_start_gives_encoder_and_statistics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = MaskedAutoencoder(audiomae_pretrain.tiny().model)
    told = {"statistics": {"mean": -5.0, "spread": 4.0, "num_frames": 64}}
    folder = tmp_path / "start"
    save_folder(folder, "audiomae", before.config, before.state_dict(), extra=told)
    recipe = override(tiny(), [f"start={folder}", "statistics=start"])
    longer = replace(recipe.model, encoder=replace(recipe.model.encoder, num_frames=96))
    data = TaggerData([made()], recipe.draws, memory_gb=0.1, seed=0)
    tagging = AudioMaeTagging(replace(recipe, model=longer), data, ALONE)
    tagger = tagging.network(Compression(method="frame_shift", factor=1))
    assert tagger.config.encoder.grid == (6, 8)
    mine, theirs = tagger.encoder.state_dict(), before.encoder.state_dict()
    torch.testing.assert_close(mine["positions"][:, :33], theirs["positions"])
    assert all(torch.equal(mine[k], v) for k, v in theirs.items() if k != "positions")
    run = RunDir(tmp_path / "run")
    finetune(recipe, run, corpora=[made()])
    extra = read_folder(run.path / "model").extra
    assert extra["statistics"] == {"mean": -5.0, "spread": 4.0, "num_frames": 64}


def test_folders_of_sounds_are_prepared_without_picture_features() -> None:
    for module in (audiomae_pretrain, audiomae_finetune):
        assert module.preparation(module.tiny()) == {"features": ()}


def test_settings_that_make_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="statistics 'start' need a start"):
        override(tiny(), ["statistics=start"])
    with pytest.raises(ConfigError, match="stripes of up to 80 frames do not fit 64"):
        override(tiny(), ["changes.stripes.time_width=80"])
    save_folder(tmp_path / "other", "sight", {"width": 1}, {"x": torch.zeros(1)})
    with pytest.raises(InputError, match="holds sight and no Audio-MAE"):
        finetune(
            override(tiny(), [f"start={tmp_path / 'other'}"]),
            RunDir(tmp_path / "run"),
            corpora=[made()],
        )
