"""What both pre-trainings share: phases, resuming across them, parts of a batch, early ends."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from made_corpus import MadeCorpus
from torch import Tensor

from earsight.checkpoints.native import read_folder
from earsight.models.ssast.model import Ssast
from earsight.nn.position_tables import resized_table
from earsight.recipes import audiomae_pretrain, ssast_pretrain
from earsight.recipes.audiomae_pretrain import AudioMaePretext
from earsight.recipes.pretraining_loop import Pretraining, PretrainingData, training_losses
from earsight.recipes.ssast_pretrain import SsastPretext
from earsight.settings import override
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir

COARSE = ["curriculum.factors=[2]", "curriculum.epochs=[2]"]


def made(num_clips: int = 4) -> MadeCorpus:
    return MadeCorpus("made", (), num_clips=num_clips)


def ended(run: RunDir) -> dict[str, Any]:
    return json.loads((run.path / "ended.json").read_text())


@pytest.mark.parametrize(
    ("module", "method"),
    [
        (audiomae_pretrain, "frame_shift"),
        (ssast_pretrain, "max_pool"),
        (ssast_pretrain, "patch_bilinear"),
    ],
)
def test_a_run_of_two_phases_goes_on_from_any_step(
    module: ModuleType, method: str, tmp_path: Path
) -> None:
    recipe = override(module.tiny(), [*COARSE, f"curriculum.method={method}", "save_every=1"])
    whole = RunDir(tmp_path / "whole", keep=100)
    module.train(recipe, whole, corpora=[made()])
    told = ended(whole)
    epochs = [(e["phase"], e["factor"], e["epoch"], e["step"]) for e in told["epochs"]]
    assert epochs == [(0, 2, 1, 2), (0, 2, 2, 4), (1, 1, 1, 6), (1, 1, 2, 8)]
    assert all(e["cpu_seconds"] > 0 and e["score"] > 0 for e in told["epochs"])
    for step in (3, 4):
        killed = RunDir(tmp_path / f"killed_{step}", keep=100)
        shutil.copytree(whole.path, killed.path)
        shutil.rmtree(killed.path / "model")
        for later in killed.checkpoints()[step:]:
            shutil.rmtree(later)
        module.train(recipe, killed, corpora=[made()], resume=True)
        own, other = (read_folder(run.path / "model") for run in (whole, killed))
        assert own.sha256 == other.sha256
        assert whole.read_log() == killed.read_log()
        assert [e["epoch"] for e in ended(killed)["epochs"]] == [1, 2, 1, 2]


def test_weights_go_over_and_everything_else_begins_anew() -> None:
    recipe = override(
        ssast_pretrain.tiny(), [*COARSE, "schedule=halved", "halve_patience=0", "batch=4"]
    )
    pretext = SsastPretext(recipe)
    data = PretrainingData([made()], recipe, settings=pretext.fbank)
    training = Pretraining(recipe, pretext, data, ALONE)
    assert training.model.config.num_frames == 32
    assert training.drawn([0], [torch.Generator()]).shape == (1, 32, 128)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    old_optimizer = training.optimizer
    training.halving.update(0.5)
    training.halving.update(0.5)
    assert training.halving.factor == 0.5
    for _ in range(2):
        training.clock.advance()
        training.clock.close_epoch()
    training.next_phase()
    after = training.model.state_dict()
    table = "encoder.positions"
    wanted = resized_table(before[table], grid=(8, 2), size=(8, 4), num_class_tokens=2)
    torch.testing.assert_close(after.pop(table), wanted)
    before.pop(table)
    torch.testing.assert_close(dict(after), before, atol=0, rtol=0)
    assert training.optimizer is not old_optimizer
    assert training.halving.factor == 1.0
    assert training.clock.step_in_phase == 0
    assert training.drawn([0], [torch.Generator()]).shape == (1, 64, 128)


def test_a_coarse_masked_autoencoder_keeps_the_codes_of_the_places_it_sees() -> None:
    recipe = override(audiomae_pretrain.tiny(), COARSE)
    pretext = AudioMaePretext(recipe)
    training = Pretraining(
        recipe, pretext, PretrainingData([made()], recipe, settings=pretext.fbank), ALONE
    )
    fine = pretext.carried(training.model, replace(training.clock.compression, factor=1))
    coarse_codes, codes = training.model.encoder.positions[0], fine.encoder.positions[0]
    distances = torch.cdist(coarse_codes[1:], codes[1:])
    time, band = distances.argmin(dim=1) // 8, distances.argmin(dim=1) % 8
    assert (band == torch.arange(16) % 8).all()
    assert (time // 2 == torch.arange(16) // 8).all()
    for name, value in training.model.named_parameters():
        torch.testing.assert_close(fine.get_parameter(name), value, atol=0, rtol=0)


@pytest.mark.parametrize("kind", [AudioMaePretext, SsastPretext])
def test_parts_and_processes_have_the_gradient_of_the_whole_batch(kind: type[Any]) -> None:
    module = audiomae_pretrain if kind is AudioMaePretext else ssast_pretrain
    corpus, cpu = made(), torch.device("cpu")

    def gradient(*worlds: World, parts: int) -> list[Tensor]:
        losses: list[Tensor] = []
        recipe: Any = override(module.tiny(), ["batch=4", f"num_parts={parts}"])
        pretext = kind(recipe)
        data = PretrainingData([corpus], recipe, settings=pretext.fbank)
        training: Pretraining[Any] = Pretraining(recipe, pretext, data, ALONE)
        for world in worlds:
            training.world = world
            losses += [found["loss"] for found in training_losses(training)]
        assert len(losses) == parts * len(worlds)
        mean = torch.stack(losses).mean()
        return list(torch.autograd.grad(mean, list(training.model.parameters())))

    whole = gradient(ALONE, parts=1)
    both = World(0, 2, cpu), World(1, 2, cpu)
    for found in (gradient(ALONE, parts=2), gradient(*both, parts=1), gradient(*both, parts=2)):
        torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-4)


def test_a_flat_phase_and_a_beaten_score_end_early(tmp_path: Path) -> None:
    recipe = override(
        audiomae_pretrain.tiny(),
        [
            "curriculum.factors=[2]",
            "curriculum.epochs=[9]",
            "curriculum.plateau_patience=1",
            "curriculum.plateau_gain=9.0",
            "curriculum.beat=50.0",
            "num_epochs=9",
            "check_epochs=2",
        ],
    )
    run = RunDir(tmp_path / "run")
    audiomae_pretrain.train(recipe, run, corpora=[made()])
    told = ended(run)
    assert [(e["phase"], e["epoch"]) for e in told["epochs"]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert "beats 50" in str(told["reason"])
    assert [line["factor"] for line in run.read_log() if "factor" in line] == [2.0, 2.0, 1.0]


def test_a_start_at_full_resolution_serves_a_coarse_first_phase(tmp_path: Path) -> None:
    before = RunDir(tmp_path / "before")
    ssast_pretrain.train(ssast_pretrain.tiny(), before, corpora=[made()])
    folder = before.path / "model"
    recipe = override(ssast_pretrain.tiny(), [*COARSE, f"start={folder}", "statistics=start"])
    pretext = SsastPretext(recipe)
    data = PretrainingData([made()], recipe, settings=pretext.fbank)
    training: Pretraining[Ssast] = Pretraining(recipe, pretext, data, ALONE)
    old = read_folder(folder)
    assert training.statistics.mean == old.extra["statistics"]["mean"]
    own = training.model.state_dict()
    changed = {
        name
        for name, value in own.items()
        if not torch.equal(value, old.tensors[name])
        if value.shape == old.tensors[name].shape
    }
    assert not changed
    assert own["encoder.positions"].shape[1] == 18
