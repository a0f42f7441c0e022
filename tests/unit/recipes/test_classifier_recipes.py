"""Both classifier recipes: settings, a run from data to scores, early end, resuming."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from earsight.checkpoints.native import read_folder
from earsight.data.corpus import ClipRecord, Split
from earsight.errors import ConfigError, InputError, TrainingError
from earsight.generate.sound_class import open_sound_classifier
from earsight.models.melception.model import Melception
from earsight.models.vggishish.model import VGGishish
from earsight.recipes import specvqgan_melception, specvqgan_vggishish
from earsight.recipes.classifier_settings import FitSettings
from earsight.settings import from_plain, to_plain
from earsight.training.rundir import RunDir

RECIPES = [specvqgan_vggishish, specvqgan_melception]


class Hums:
    """Clips of 10 to 40 frames whose loudest bands tell the class."""

    def __init__(self, name: str = "hums", classes: Sequence[str] = ("low", "high")) -> None:
        self.name, self.class_names = name, tuple(classes)
        self.broken = False

    def records(self, split: Split) -> Sequence[ClipRecord]:
        count = {"train": 8, "valid": 4, "test": 6}[split]
        return [
            ClipRecord(
                id=f"{split}{i}",
                split=split,
                class_index=i % len(self.class_names),
                class_name=self.class_names[i % len(self.class_names)],
                seconds=1.0,
                source=Path("nowhere"),
            )
            for i in range(count)
        ]

    def mel(self, record: ClipRecord) -> torch.Tensor:
        rng = torch.Generator().manual_seed(sum(map(ord, record.id)))
        frames = int(torch.randint(10, 40, (), generator=rng))
        mel = 0.3 * torch.rand(80, frames, generator=rng)
        first = 40 * int(record.class_index or 0)
        mel[first : first + 30] += 0.6
        return mel * float("nan") if self.broken else mel

    def wave(self, record: ClipRecord) -> torch.Tensor:
        raise AssertionError

    def features(self, record: ClipRecord, kind: str) -> torch.Tensor:
        raise AssertionError


def weights(run: RunDir) -> dict[str, torch.Tensor]:
    return dict(read_folder(run.path / "model").tensors)


@pytest.mark.parametrize("recipes", RECIPES)
def test_settings_are_those_of_the_sources(recipes: Any) -> None:
    fits = {name: make().fit for name, make in recipes.SETTINGS.items()}
    assert (fits["published"].rate, fits["published"].betas) == (3e-4, (0.9, 0.999))
    assert (fits["published"].patience, fits["paper"].patience) == (3, 5)
    assert fits["published"].crop_frames == (848,)
    assert not fits["published"].crops.random
    found = [fits[name] for name in ("published", "paper")]
    if recipes is specvqgan_vggishish:
        assert [(fit.batch, fit.weight_decay) for fit in found] == [(32, 1e-4), (32, 1e-3)]
    else:
        assert [(fit.batch, fit.weight_decay) for fit in found] == [(8, 0.0), (48, 0.0)]
    for make in recipes.SETTINGS.values():
        assert from_plain(type(make()), json.loads(json.dumps(to_plain(make())))) == make()


def test_the_small_judges_stay_under_three_megabytes() -> None:
    small = specvqgan_vggishish.foley_room().model
    assert sum(v.numel() for v in VGGishish(small).state_dict().values()) * 2 < 3e6
    inception = specvqgan_melception.foley_room().model
    assert sum(v.numel() for v in Melception(inception).state_dict().values()) * 2 < 3e6


@pytest.mark.parametrize("recipes", RECIPES)
def test_from_two_corpora_to_scores(recipes: Any, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    corpora = [Hums(), Hums("hisses", ("low", "bright"))]
    recipes.train(recipes.tiny(), run, corpora=corpora)
    scores = json.loads((run.path / "scores.json").read_text())
    assert (scores["split"], scores["overall"]["num_clips"]) == ("test", 12)
    assert set(scores["by_corpus"]) == {"hums", "hisses"}
    assert scores["by_corpus"]["hums"]["left_out"] == ["bright"]
    assert set(scores["recall"]) == {"low", "high", "bright"}
    assert scores["ended"].startswith("Ran to its end at step 8")
    judge = open_sound_classifier(run.path / "model")
    assert judge.class_names == ("low", "high", "bright"), "a class of one name is one class"
    assert judge.judge(torch.rand(2, 80, 30)).probabilities.shape == (2, 3)
    card = (run.path / "model" / "card.md").read_text()
    assert "hums+hisses, 16 clips to train on" in card
    logged = run.read_log()
    assert sum("valid_loss" in line for line in logged) == 2


@pytest.mark.parametrize("recipes", RECIPES)
def test_a_killed_run_ends_in_the_same_weights(recipes: Any, tmp_path: Path) -> None:
    tiny = recipes.tiny()
    whole, killed = RunDir(tmp_path / "whole"), RunDir(tmp_path / "killed")
    recipes.train(tiny, whole, corpora=[Hums()])
    shutil.copytree(whole.path, killed.path)
    shutil.rmtree(killed.path / "model")
    for later in killed.checkpoints()[1:]:
        (later / "state.pt").unlink()
    recipes.train(tiny, killed, corpora=[Hums()], resume=True)
    assert all(torch.equal(weights(whole)[k], v) for k, v in weights(killed).items())
    assert whole.read_log() == killed.read_log()


def test_a_run_that_gets_no_better_says_why_it_ends(tmp_path: Path) -> None:
    tiny = specvqgan_vggishish.tiny()
    stuck = replace(tiny.fit, patience=2, num_epochs=9, rate=0.0, decay=None)
    run = RunDir(tmp_path / "run")
    specvqgan_vggishish.train(replace(tiny, fit=stuck), run, corpora=[Hums()])
    told = json.loads((run.path / "scores.json").read_text())
    assert "valid_loss did not get better by more than 0 in 2 checks in a row" in told["ended"]
    assert told["step"] == 2, "the first check's weights are kept"


def test_it_learns_what_can_be_heard(tmp_path: Path) -> None:
    tiny = specvqgan_vggishish.tiny()
    fit = replace(tiny.fit, num_epochs=30, rate=1e-2, decay=None, patience=None, check_epochs=5)
    run = RunDir(tmp_path / "run")
    specvqgan_vggishish.train(replace(tiny, fit=fit), run, corpora=[Hums()])
    scores = json.loads((run.path / "scores.json").read_text())
    assert scores["overall"]["top_1"] == 1.0
    assert scores["overall"]["d_prime"] is None, "infinite numbers are no JSON"


def test_what_cannot_be_trained_on_is_refused(tmp_path: Path) -> None:
    tiny = specvqgan_vggishish.tiny()
    with pytest.raises(InputError, match="1 classes: a classifier needs 2"):
        specvqgan_vggishish.train(tiny, RunDir(tmp_path / "a"), corpora=[Hums(classes=("low",))])
    broken = Hums()
    broken.broken = True
    with pytest.raises(InputError, match="not finite"):
        specvqgan_vggishish.train(tiny, RunDir(tmp_path / "b"), corpora=[broken])
    wild = replace(tiny, fit=replace(tiny.fit, rate=1e30, clip=None, warmup_steps=0))
    with pytest.raises(TrainingError, match="loss is"):
        specvqgan_vggishish.train(wild, RunDir(tmp_path / "c"), corpora=[Hums()])
    with pytest.raises(ConfigError, match="at most longest_frames"):
        FitSettings(batch=4, crop_frames=(900,))
