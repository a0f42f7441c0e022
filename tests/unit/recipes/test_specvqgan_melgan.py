"""The vocoder's training from end to end on made clips."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_folder
from earsight.data.wave_segments import Segments
from earsight.errors import ConfigError, InputError
from earsight.losses.vocoder import feature_matching_loss
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.melgan.published import discriminator_keys, generator_keys
from earsight.recipes.specvqgan_melgan import (
    PUBLISHED_WEIGHTS,
    SETTINGS,
    VocoderTraining,
    export,
    generator_losses,
    judge,
    published,
    tiny,
    train,
)
from earsight.recipes.vocoder_scores import griffin_lim_error, mel_error
from earsight.settings import from_plain, to_plain
from earsight.training.distributed import ALONE
from earsight.training.optim import update
from earsight.training.rundir import RunDir


def corpora() -> list[MadeCorpus]:
    return [MadeCorpus("made", (), num_clips=2, num_frames=50)]


def test_two_halves_equal_the_whole_bit_for_bit(tmp_path: Path) -> None:
    whole, run = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    for each in (whole, run):
        train(tiny(), each, corpora=corpora())
    (run.path / "step_000004" / "state.pt").unlink()
    log = run.read_log()
    train(tiny(), run, corpora=corpora(), resume=True)
    assert run.read_log() == log == whole.read_log()
    for name in ("average", "discriminator"):
        mine, other = run.load_state()[name], whole.load_state()[name]
        assert all(torch.equal(mine[key], other[key]) for key in other)
    assert "judge" in log[-2]
    assert "held_out_mel" in log[-1]
    stored = read_folder(run.path / "model")
    assert (stored.family, from_plain(MelGANConfig, stored.config)) == ("melgan", tiny().model)
    assert json.loads((run.path / "ended.json").read_text())["reason"] == "all 4 steps are done"


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    recipe = replace(tiny(), num_steps=30, discriminator_start=30, check_every=30, save_every=30)
    run = RunDir(tmp_path)
    train(recipe, run, corpora=corpora())
    losses = [line["total"] for line in run.read_log() if "total" in line]
    assert losses[-1] < 0.7 * losses[0]


def test_real_features_are_those_from_before_the_discriminators_step() -> None:
    recipe = replace(tiny(), weights=PUBLISHED_WEIGHTS, precision="fp32", discriminator_rate=0.1)
    training = VocoderTraining(recipe, ALONE)
    rng = torch.Generator().manual_seed(0)
    batch = Segments(torch.randn(2, 3072, generator=rng), torch.rand(2, 80, 12, generator=rng))
    wave = torch.randn(2, 3072, generator=rng)
    with torch.no_grad():
        before = training.discriminator(batch.wave[:, None]).features
    real, judged = judge(training, batch, wave, recipe, ALONE)
    update(training.discriminator_optimizer, judged)
    losses = generator_losses(training, batch, wave, real, recipe, ALONE)
    with torch.no_grad():
        after = training.discriminator(wave[:, None])
        own = training.discriminator(batch.wave[:, None]).features
        right = feature_matching_loss(before, after.features)
        wrong = feature_matching_loss(own, after.features)
        adversarial = -sum(logits.mean() for logits in after.logits)
    assert float(losses.features.detach()) == pytest.approx(float(right), rel=1e-6)
    assert abs(float(right) - float(wrong)) > 1e-3
    total = float(adversarial) + 10 * float(right)
    assert float(losses.total.detach()) == pytest.approx(total, rel=1e-6)
    assert float(losses.stft) == float(losses.mel) == 0


def test_an_official_training_goes_on_where_it_ended(tmp_path: Path) -> None:
    recipe = replace(tiny(), decay=None)
    recipe = replace(recipe, discriminator=replace(recipe.discriminator, max_channels=1024))
    before = VocoderTraining(recipe, ALONE)
    for optimizer in (before.optimizer, before.discriminator_optimizer):
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            parameter.grad = torch.full_like(parameter, 0.5)
        optimizer.step()
    for letter, network, optimizer, keys in (
        ("G", before.model, before.optimizer, generator_keys(recipe.model)),
        ("D", before.discriminator, before.discriminator_optimizer,
         discriminator_keys(recipe.discriminator)),
    ):  # fmt: skip
        entries = untranslate(network.state_dict(), keys)
        own = dict(network.named_parameters())
        memory = {n: optimizer.state[own[str(keys[name])]] for n, name in enumerate(entries)}
        torch.save(entries, tmp_path / f"net{letter}.pt")
        torch.save({"state": memory, "param_groups": [{"lr": 1e-4, "params": list(memory)}]},
                   tmp_path / f"opt{letter}.pt")  # fmt: skip
    after = VocoderTraining(replace(recipe, start=str(tmp_path), seed=9), ALONE)
    mine, other = after.state(), before.state()
    for part in ("model", "discriminator"):
        assert all(torch.equal(mine[part][key], other[part][key]) for key in other[part])
    for part in ("optimizer", "discriminator_optimizer"):
        for number, memory in other[part]["state"].items():
            assert all(torch.equal(mine[part]["state"][number][k], memory[k]) for k in memory)
    other_sizes = replace(tiny(), start=str(tmp_path), discriminator=published().discriminator)
    with pytest.raises(ConfigError, match="the start is a network of"):
        VocoderTraining(other_sizes, ALONE)


def test_a_model_folder_is_a_start(tmp_path: Path) -> None:
    model = untrained()
    export(model, tmp_path / "vocoder", card="", half=False)
    started = VocoderTraining(replace(tiny(), start=str(tmp_path / "vocoder"), seed=3), ALONE)
    assert torch.equal(started.model.conv_in.bias, model.conv_in.bias)


def test_scores_are_errors_of_the_rebuilt_spectrogram() -> None:
    rng = torch.Generator().manual_seed(7)
    held_out = list(0.1 * torch.randn(2, 11025, generator=rng))
    assert 0 < griffin_lim_error(held_out, seeds=(1, 2)) < 0.08 < mel_error(untrained(), held_out)


def untrained() -> MelGANGenerator:
    return MelGANGenerator(tiny().model)


def test_published_settings() -> None:
    recipe = published()
    assert (recipe.batch, recipe.rate, recipe.discriminator_rate) == (64, 1e-4, 1e-4)
    assert (recipe.betas, recipe.segments.num_samples) == ((0.5, 0.9), 8192)
    assert SETTINGS["paper"]().batch == 16
    for make in SETTINGS.values():
        plain = json.loads(json.dumps(to_plain(make())))
        assert from_plain(type(recipe), plain) == make()


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give 128 samples per frame, the spectrogram has 256"):
        replace(tiny(), model=MelGANConfig(ratios=(8, 8, 2)))
    empty = MadeCorpus("none", (), num_clips=0)
    with pytest.raises(InputError, match="0 clips to train on and 0 held out"):
        train(tiny(), RunDir(tmp_path), corpora=[empty])
