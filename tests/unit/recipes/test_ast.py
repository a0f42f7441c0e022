"""AST and SSAST in training: published settings, phases, exact resuming, parts of a batch."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus
from torch import Tensor

from earsight.checkpoints.native import read_folder, save_folder
from earsight.errors import ConfigError, InputError
from earsight.models.ast.model import Ast
from earsight.models.ssast.config import SsastConfig
from earsight.models.ssast.model import Ssast
from earsight.recipes import ast, ssast_finetune
from earsight.recipes.ast import AstRecipe
from earsight.recipes.ssast_finetune import SsastFinetuneRecipe
from earsight.recipes.tagger_clips import TaggerData
from earsight.recipes.two_token_tagging import TwoTokenTagging
from earsight.settings import from_plain, override, to_plain
from earsight.training.coarse_to_fine import Compression, Method
from earsight.training.curriculum import Curriculum
from earsight.training.distributed import ALONE
from earsight.training.rundir import RunDir


def made() -> MadeCorpus:
    return MadeCorpus("made", ("low", "high"), num_clips=4)


def in_phases(method: Method = "patch_inverse") -> AstRecipe:
    curriculum = Curriculum(method=method, factors=(4, 2), epochs=(1, 1))
    return replace(ast.tiny(), curriculum=curriculum, num_epochs=1)


@pytest.mark.parametrize(
    ("name", "batch", "rate", "epochs", "decays", "stripes", "mixup", "loss", "average"),
    [
        ("audioset", 12, 1e-5, 5, (2, 3), (192, 48), 0.5, "binary", (1, 5)),
        ("audioset_balanced", 12, 5e-5, 25, (10, 15), (192, 48), 0.5, "binary", (6, 25)),
        ("esc50", 48, 1e-5, 25, (5, 6), (96, 24), 0.0, "softmax", None),
        ("speech_commands_2", 128, 2.5e-4, 30, (5, 6), (48, 48), 0.6, "binary", None),
        ("coarse_vggsound", 12, 1e-5, 20, (2, 3), (192, 48), 0.0, "binary", None),
        ("coarse_voxceleb", 12, 1e-5, 20, (2, 3), (192, 48), 0.0, "softmax", None),
    ],
)
def test_settings_are_the_published_ones(
    name: str,
    batch: int,
    rate: float,
    epochs: int,
    decays: tuple[int, int],
    stripes: tuple[int, int],
    mixup: float,
    loss: str,
    average: tuple[int, int] | None,
) -> None:
    recipe = ast.SETTINGS[name]()
    assert (recipe.draws.batch, recipe.peak_rate, recipe.num_epochs) == (batch, rate, epochs)
    schedule = recipe.schedule
    assert (schedule.first, schedule.first + schedule.every) == decays
    found = recipe.changes.stripes
    assert (found.time_width, found.band_width) == stripes
    assert (recipe.changes.mixup, recipe.loss, recipe.average_epochs) == (mixup, loss, average)


@pytest.mark.parametrize("name", ssast_finetune.SETTINGS)
def test_settings_survive_json(name: str) -> None:
    recipe = ssast_finetune.SETTINGS[name]()
    plain = json.loads(json.dumps(to_plain(recipe)))
    assert from_plain(SsastFinetuneRecipe, plain) == recipe


def test_a_run_killed_behind_a_phase_ends_in_the_same_weights(tmp_path: Path) -> None:
    whole, killed = RunDir(tmp_path / "whole", keep=9), RunDir(tmp_path / "killed", keep=9)
    recipe = replace(in_phases(), save_every=1, decay=0.9)
    ast.train(recipe, whole, corpora=[made()])
    shutil.copytree(whole.path, killed.path)
    shutil.rmtree(killed.path / "model")
    for later in killed.checkpoints()[3:]:  # three of six steps: in the middle of a phase
        shutil.rmtree(later)
    ast.train(recipe, killed, corpora=[made()], resume=True)
    own, other = (read_folder(run.path / "model") for run in (whole, killed))
    torch.testing.assert_close(own.tensors, other.tensors, atol=0, rtol=0)
    told = json.loads((killed.path / "scores.json").read_text())["epochs"]
    assert [(epoch["phase"], epoch["factor"]) for epoch in told] == [(0, 4), (1, 2), (2, 1)]
    assert own.config["patch"] == [16, 16]


@pytest.mark.parametrize("method", ["frame_shift", "max_pool", "patch_bilinear"])
def test_a_coarse_network_has_fewer_tokens_and_hands_on_its_weights(method: Method) -> None:
    recipe = in_phases(method)
    data = TaggerData([made()], recipe.draws, memory_gb=0.1, seed=0)
    tagging = TwoTokenTagging(
        recipe,
        data,
        ALONE,
        family="ast",
        title="AST",
        full=recipe.model,
        build=Ast,
        begin=None,
        start=None,
    )
    four, one = (Compression(method=method, factor=factor) for factor in (4, 1))
    coarse = tagging.network(four)
    fine = tagging.carried(coarse, four, one)
    tokens = [network.encoder.positions.shape[1] - 2 for network in (coarse, fine)]
    assert tokens == [8, 32]
    before, after = coarse.state_dict(), fine.state_dict()
    moved = {"encoder.positions", "encoder.patches.weight"}
    assert all(torch.equal(before[name], after[name]) for name in set(before) - moved)
    for phase, network in ((four, coarse), (one, fine)):
        inputs = tagging.whole(data.valid, [0, 1], phase)
        assert tagging.logits(network, inputs).shape == (4, 2)  # two windows a clip


def test_training_ends_at_the_first_check_that_beats_a_baseline(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    recipe = override(in_phases(), ["curriculum.beat=-1", "num_epochs=5"])
    ast.train(recipe, run, corpora=[made()])
    told = json.loads((run.path / "scores.json").read_text())
    assert len(told["epochs"]) == 3
    assert "beats -1" in told["ended"]


def test_a_batch_in_parts_gives_the_same_weights(tmp_path: Path) -> None:
    found: list[dict[str, Tensor]] = []
    for parts in (1, 2):
        run = RunDir(tmp_path / str(parts))
        ast.train(replace(ast.tiny(), num_parts=parts), run, corpora=[made()])
        found.append(read_folder(run.path / "model").tensors)
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-3)


def test_the_mean_of_epochs_is_exported(tmp_path: Path) -> None:
    each: list[Tensor] = []
    for average in ((1, 1), (2, 2), (1, 2)):
        run = RunDir(tmp_path / f"{average[0]}{average[1]}")
        ast.train(replace(ast.tiny(), average_epochs=average), run, corpora=[made()])
        each.append(read_folder(run.path / "model").tensors["head.weight"])
    torch.testing.assert_close(each[2], (each[0] + each[1]) / 2)


def test_ssast_begins_with_its_pretrained_encoder(tmp_path: Path) -> None:
    recipe = ssast_finetune.tiny()
    size = recipe.model
    torch.manual_seed(0)
    before = Ssast(
        SsastConfig(
            num_frames=96,
            width=size.width,
            num_layers=size.num_layers,
            num_heads=size.num_heads,
            hidden=size.hidden,
        )
    )
    told = {"statistics": {"mean": -5.0, "spread": 4.0, "num_frames": 96}}
    save_folder(tmp_path / "start", "ssast", before.config, before.state_dict(), extra=told)
    run = RunDir(tmp_path / "run")
    changed = override(
        recipe, [f"start={tmp_path / 'start'}", "statistics=start", "peak_rate=1e-12"]
    )
    ssast_finetune.train(changed, run, corpora=[made()])
    found = read_folder(run.path / "model")
    assert found.family == "ssast_tagger"
    torch.testing.assert_close(
        found.tensors["encoder.patches.weight"], before.encoder.patches.weight.detach()
    )
    assert found.extra["statistics"] == {"mean": -5.0, "spread": 4.0, "num_frames": 64}


def test_settings_and_starts_that_make_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="makes no 3 equal parts"):
        override(ast.tiny(), ["num_parts=3"])
    with pytest.raises(ConfigError, match="need a check after every epoch"):
        override(ast.small(), ["curriculum.plateau_patience=2"])
    with pytest.raises(InputError, match="there is no file"):
        ast.open_ast(str(tmp_path / "deit.pth"))
