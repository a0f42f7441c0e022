"""`earsight evaluate` on folders of sounds, and on a small model in a world of known truth."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from earsight.checkpoints.native import save_folder
from earsight.cli.app import main
from earsight.data.corpus import ClipRecord, Split
from earsight.data.foley_room.clip import ClipTruth, SoundEvent
from earsight.data.prepared_layout import complete, feature_path, mel_path, save_array, wave_path
from earsight.files import write_json
from earsight.frontends.specvqgan_mel import log_mel
from earsight.generate.video_to_sound import VideoToSound
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import Melception
from earsight.settings import to_plain

RATE_HZ = 22050
CLASSES = ("dog", "rain")
EVENTS = (0.2, 0.6)
SECONDS = 1.0

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
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge") / "small"
    config = MelceptionConfig(unit=1, num_classes=2, auxiliary=False)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        state = Melception(config).state_dict()
    save_folder(folder, "melception", config, state, extra={"class_names": list(CLASSES)})
    return folder


def knocks(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    wave = 1e-4 * torch.randn(round(SECONDS * RATE_HZ), generator=generator)
    time = torch.arange(RATE_HZ // 5) / RATE_HZ
    for start in (round(t * RATE_HZ) for t in EVENTS):
        tone = torch.sin(2 * torch.pi * (500 + 200 * seed) * time)
        wave[start : start + len(time)] += 0.5 * torch.exp(-time / 0.03) * tone
    return wave


def put(path: Path, wave: Tensor, rate_hz: int = RATE_HZ) -> None:
    write_audio(path, Waveform(wave[None], rate_hz), provenance=None, subtype="PCM_16")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus of three test and two training clips of known truth."""
    folder = tmp_path_factory.mktemp("world") / "prepared"
    splits: tuple[Split, ...] = ("test", "test", "test", "train", "train")
    records = [_add(folder, split, number) for number, split in enumerate(splits)]
    card = {
        "name": "small-room",
        "kind": "foley_room",
        "class_names": list(CLASSES),
        "feature_kinds": ["motion"],
    }
    complete(folder, records, card)
    return folder


def _add(folder: Path, split: Split, number: int) -> ClipRecord:
    clip = f"{split}_{number}"
    wave, frames = knocks(number), np.arange(round(SECONDS * 21.5)) / 21.5
    put(wave_path(folder, clip), wave)
    mel = log_mel(wave[None], num_frames=None)[0].numpy()
    save_array(mel_path(folder, clip), mel.astype(np.float16))
    near = np.stack([np.abs(frames[:, None] - np.array(EVENTS)).min(axis=1) < 0.05] * 2, axis=1)
    save_array(feature_path(folder, "motion", clip), near.astype(np.float16))
    name = CLASSES[number % 2]
    truth = ClipTruth(
        classes=(name,),
        fps=21.5,
        events=tuple(SoundEvent(time_seconds=t, sound_class=name) for t in EVENTS),
        visibility=(1.0,) * len(frames),
        loudness=tuple(near[:, 0].astype(float).tolist()),
    )
    path = folder / f"{clip}.truth.json"
    write_json(path, to_plain(truth))
    return ClipRecord(
        id=clip, split=split, class_index=number % 2, class_name=name, seconds=SECONDS,
        source=folder / f"{clip}.mp4", notes={"truth": str(path)},
    )  # fmt: skip


def test_two_folders_of_sounds(run: Run, judge: Path, tmp_path: Path) -> None:
    real, fake = tmp_path / "real", tmp_path / "fake"
    for number, name in enumerate("abc"):
        put(real / f"{name}.wav", knocks(number))
        put(fake / f"{name}_sample_0.flac", knocks(number))
    put(fake / "a_sample_1.wav", knocks(7), rate_hz=44100)
    (fake / "b_sample_1.wav").write_bytes(b"RIFF, but no more")
    words = ("specvqgan", "--real", real, "--fake", fake, "--judge", judge)
    code, card, told = run(*words, "--output", tmp_path / "out")
    assert code == 1
    assert "b_sample_1.wav" in told
    assert (card["counts"]["expected"], card["counts"]["found"]) == (5, 4)
    assert card["judge"]["name"] == str(judge)
    assert {*card["scores"]} == {"FID", "KID", "ISC", "MKL"}
    assert card["scores"]["ISC"]["value"] is None
    assert (tmp_path / "out" / "report.html").is_file()
    (fake / "b_sample_1.wav").unlink()
    (fake / "a_sample_1.wav").unlink()
    code, same, _ = run(*words, "--output", tmp_path / "same")
    assert code == 0
    # each sound against itself: only the detour of the real ones through another range is left
    assert abs(same["scores"]["FID"]["value"]) < 1e-3
    assert abs(same["scores"]["MKL"]["value"]) < 1e-3
    code, _, told = run(*words, "--output", tmp_path / "same", "--against", tmp_path / "out")
    assert code == 2
    assert "found 3 here, 4 there" in told
    code, again, _ = run(*words, "--output", tmp_path / "same", "--against", tmp_path / "same")
    assert code == 0
    assert {change["change"] for change in again["against"]} == {0.0, None}


def test_the_foley_room_with_controls(
    run: Run, judge: Path, world: Path, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("foley_room", "--data", world, "--model", tiny_model, "--judge", judge)
    code, card, _ = run(*words, "--output", tmp_path, "--samples", 2, "--class-known")
    assert code == 0
    assert (card["counts"]["expected"], card["counts"]["found"]) == (6, 6)
    scores = card["scores"]
    assert scores["onset_f.truth"]["value"] == 1
    assert scores["onset_f.random_training"]["value"] == 1
    assert scores["onset_f.model"]["num_items"] == 3
    assert scores["offscreen_recall.model"]["value"] is None
    assert {name.partition(".")[2] for name in scores} == {
        "model", "no_picture", "random_training", "shuffled", "truth",
        "over_no_picture", "over_random_training",
    }  # fmt: skip
    margin = scores["onset_f.model"]["value"] - scores["onset_f.random_training"]["value"]
    assert scores["onset_f.over_random_training"]["value"] == pytest.approx(margin)
    for name in ("pairs.png", "onset_f.png", "report.html", "details.json"):
        assert (tmp_path / name).is_file()


def test_samples_do_not_depend_on_batch_worker_or_what_was_there(
    run: Run, judge: Path, world: Path, tiny_model: Path, tmp_path: Path
) -> None:
    words = ("specvqgan", "--data", world, "--model", tiny_model, "--judge", judge)
    one, two = tmp_path / "one", tmp_path / "two"
    code, card, _ = run(*words, "--output", one, "--samples", 2)
    assert code == 0
    assert card["scores"]["MKL"]["num_items"] == 6
    files = {p.relative_to(one): p.read_bytes() for p in (one / "samples").rglob("*_sample_*.*")}
    assert len(files) == 12
    assert Path("samples/cls_1/test_1_sample_0.npy") in files
    kept = one / "samples/cls_0/test_0_sample_0.npy"
    written = kept.stat().st_mtime_ns
    (one / "samples/cls_1/test_1_sample_1.npy").unlink()
    run(*words, "--output", one, "--samples", 2, "--batch", 1)
    assert kept.stat().st_mtime_ns == written
    run(*words, "--output", two, "--samples", 2, "--workers", 2)
    for folder in (one, two):
        assert {name: (folder / name).read_bytes() for name in files} == files
    code, _, told = run(*words, "--output", two, "--samples", 2, "--seed", 1)
    assert code == 2
    assert "seed: 0 there, 1 wanted" in told


def test_the_best_of_several_candidates(
    run: Run,
    judge: Path,
    world: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scores(
        _: VideoToSound, codes: Tensor, seen: object, *, class_name: str | None
    ) -> list[float]:
        return codes.double().mean(dim=1).tolist()  # the small model's own scores all tie

    monkeypatch.setattr(VideoToSound, "candidate_scores", scores)
    words = ("specvqgan", "--data", world, "--model", tiny_model, "--judge", judge)
    ways = {
        "first": (),
        "best": ("--rank", 3),
        "best one by one": ("--rank", 3, "--batch", 1),
        "unseen": ("--no-picture",),
        "unseen best": ("--no-picture", "--rank", 3),
    }
    made: dict[str, list[bytes]] = {}
    for name, options in ways.items():
        code, _, _ = run(*words, "--output", tmp_path / name, "--guidance", 1.5, *options)
        assert code == 0
        made[name] = [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.npy"))]
    assert made["best"] != made["first"]
    assert made["best one by one"] == made["best"]
    # a picture that must not be seen ranks nothing
    assert made["unseen best"] == made["unseen"]
    code, _, told = run(*words, "--output", tmp_path / "none", "--rank", 0)
    assert code == 2
    assert "rank (0) must be 1 or more" in told


def test_what_cannot_be_made_is_named(
    run: Run, judge: Path, world: Path, tiny_model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(world, broken)
    feature_path(broken, "motion", "test_1").write_bytes(b"no array")
    code, card, _ = run(
        *("specvqgan", "--data", broken, "--model", tiny_model, "--judge", judge),
        *("--output", tmp_path / "out"),
    )
    assert code == 1
    assert card["counts"]["found"] == 2
    assert [left["name"] for left in card["counts"]["skipped"]] == ["test_1_sample_0"]


def test_a_codebook_on_a_corpus_and_on_sounds(
    run: Run, judge: Path, world: Path, tiny_model: Path, tmp_path: Path
) -> None:
    code, card, _ = run(
        *("codebook", "--data", world, "--model", tiny_model, "--judge", judge),
        *("--output", tmp_path / "corpus"),
    )
    assert code == 0
    assert {*card["scores"]} == {"L1", "codes_used", "perplexity", "FID", "KID", "MKL"}
    assert 0 < card["scores"]["codes_used"]["value"] <= 1
    assert 1 <= card["scores"]["perplexity"]["value"] <= 64
    put(tmp_path / "sounds" / "a.wav", knocks(1))
    code, card, _ = run(
        *("codebook", "--data", tmp_path / "sounds", "--model", tiny_model, "--judge", "none"),
        *("--output", tmp_path / "folder"),
    )
    assert code == 0
    assert card["scores"]["L1"]["num_items"] == 1
