"""`earsight evaluate tagger`, `folds` and `probe` on a small corpus."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.e2e.hearing_models import NAMES, save_model

from earsight.cli.app import main
from earsight.data.corpus import ClipRecord, Split
from earsight.data.prepared_layout import complete, wave_path
from earsight.generate.tagger import load_tagger
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio

RATE_HZ = 22050
CLASSES = ("rain", "bell")
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, JSON, complaints of `earsight evaluate`."""

    def evaluate(*words: object) -> tuple[int, dict[str, Any], str]:
        code = main(["evaluate", *map(str, words), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else {}, err

    return evaluate


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("ast") / "ast", "ast", class_names=list(NAMES))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rain (noise) and bells (tones), three clips of each, a fold for each pair."""
    folder = tmp_path_factory.mktemp("corpus") / "prepared"
    splits: tuple[Split, ...] = ("train", "valid", "test")
    records = [
        _add(folder, split, name, fold) for fold, split in enumerate(splits, 1) for name in CLASSES
    ]
    both = replace(records[-1], notes={"fold": 3, "classes": list(CLASSES)})
    card = {"name": "weather", "kind": "test", "class_names": list(CLASSES), "feature_kinds": []}
    complete(folder, [*records[:-1], both], card)
    return folder


def _add(folder: Path, split: Split, name: str, fold: int) -> ClipRecord:
    clip = f"{name}_{fold}"
    time = torch.arange(RATE_HZ + 4000 * fold) / RATE_HZ
    generator = torch.Generator().manual_seed(fold)
    tone = torch.sin(2 * torch.pi * (400 + 30 * fold) * time)
    wave = torch.randn(time.shape, generator=generator) if name == "rain" else tone
    path = wave_path(folder, clip)
    write_audio(path, Waveform(0.1 * wave[None], RATE_HZ), provenance=None)
    return ClipRecord(
        id=clip, split=split, class_index=CLASSES.index(name), class_name=name,
        seconds=len(time) / RATE_HZ, source=path, notes={"fold": fold},
    )  # fmt: skip


def test_a_tagger_is_judged_by_whole_clips(
    run: Run, model: Path, corpus: Path, tmp_path: Path
) -> None:
    words = ("tagger", "--model", model, "--data", corpus, "--split", "all")
    code, card, _ = run(*words, "--output", tmp_path / "a", "--published", "esc10")
    assert code == 0
    assert card["counts"] == {"expected": 6, "found": 6, "skipped": []}
    assert card["published"][0]["here"] == f"{card['scores']['accuracy']['value']:.4g}"
    details = json.loads((tmp_path / "a" / "details.json").read_text())
    found = np.load(tmp_path / "a" / "probabilities_model.npy")
    tagger = load_tagger(model)
    for row, clip in zip(found, details["clips"], strict=True):
        whole = tagger.hear(wave_path(corpus, clip)).whole
        assert whole is not None
        expected = whole[[NAMES.index(name) for name in CLASSES]].numpy()
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert sum(map(sum, details["confusion"]["model"])) == 5  # one clip has both classes
    assert (tmp_path / "a" / "confusion_model.png").is_file()
    code, again, _ = run(*words, "--output", tmp_path / "b", "--against", tmp_path / "a")
    assert code == 0
    assert {change["change"] for change in again["against"]} - {None} == {0.0}
    code, moved, _ = run(*words, "--output", tmp_path / "c", "--shifts", "2", "--batch", "1")
    assert code == 0
    assert moved["settings"]["num_shifts"] == 2


def test_what_cannot_be_judged_is_said(run: Run, model: Path, corpus: Path, tmp_path: Path) -> None:
    told = tmp_path / "classes.json"
    told.write_text('{"rain": "rain", "bell": "gong"}')
    words = ("tagger", "--model", model, "--data", corpus, "--output", tmp_path / "a")
    code, _, err = run(*words, "--classes", told)
    assert code == 2
    assert "'bell' (told: gong)" in err
    pretrained = save_model(tmp_path / "mae", "audiomae")
    code, _, err = run("tagger", "--model", pretrained, *words[3:])
    assert code == 2
    assert "earsight evaluate probe" in err


def test_folds_are_judged_by_their_own_networks(
    run: Run, model: Path, corpus: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "run"
    for fold in (1, 2, 3):
        save_model(runs / f"fold{fold}" / "model", "ast", class_names=list(NAMES))
        (runs / f"fold{fold}" / "selection.json").write_text(json.dumps({"fold": fold}))
    words = ("folds", "--data", corpus, "--output", tmp_path / "a")
    code, card, _ = run(*words, "--model", runs)
    assert code == 0
    by_fold = json.loads((tmp_path / "a" / "details.json").read_text())["By fold"][1:]
    each = [float(line[-1]) for line in by_fold]
    assert card["scores"]["accuracy"]["value"] == pytest.approx(np.mean(each))
    assert card["scores"]["accuracy"]["spread"] == pytest.approx(np.std(each, ddof=1) / 3**0.5)
    (runs / "fold2" / "selection.json").write_text(json.dumps({"fold": 1}))
    code, _, err = run(*words, "--model", runs / "fold{fold}" / "model")
    assert code == 2
    assert "was trained with fold 1 held out, so clips of fold 2 would be known" in err


def test_frozen_features_are_probed(run: Run, corpus: Path, tmp_path: Path) -> None:
    for fold in (1, 2, 3):
        save_model(tmp_path / f"fold{fold}" / "model", "audiomae")
    mae = tmp_path / "fold{fold}" / "model"
    words = ("probe", "--data", corpus, "--neighbours", "1")
    code, card, _ = run(*words, "--model", mae, "--folds", "--output", tmp_path / "a")
    assert code == 0
    # noise and tones differ in any features; what resembles the clip that is both may be a tie
    assert card["scores"]["accuracy.knn"]["value"] >= 0.8
    assert card["scores"]["accuracy.linear"]["value"] >= 0.8
    assert set(card["settings"]["chosen"]) == {"1", "2", "3"}
    assert len(card["settings"]["weights_sha256"]) == 3
    plain = ("--model", "filterbank", "--kind", "knn")
    code, card, _ = run(*words, *plain, "--output", tmp_path / "b")
    assert code == 0
    assert card["protocol"]["clips"] == 2  # the test split
    found = np.load(tmp_path / "b" / "probabilities_knn.npy")
    assert found.argmax(axis=1).tolist() == [0, 1]
