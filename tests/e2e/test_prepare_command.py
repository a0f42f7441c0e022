"""`earsight prepare` as a user runs it: outputs, tally, interruption, rendering, shards."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from earsight.cli.app import main
from earsight.data.open_corpus import open_corpus
from earsight.data.prepared import PreparedCorpus
from earsight.data.shards import ShardCorpus
from earsight.media.audio import Waveform
from earsight.media.mux import write_video
from earsight.media.wave_write import write_audio


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def noise(seconds: float) -> Waveform:
    rng = torch.Generator().manual_seed(3)
    return Waveform(0.2 * torch.randn(1, round(seconds * 22050), generator=rng), 22050)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Three videos of two classes and uneven lengths, one of which is broken."""
    folder = tmp_path / "media"
    for name, seconds in (("dog/a", 1.0), ("rain/b", 0.6)):
        path = folder / f"{name}.mp4"
        path.parent.mkdir(parents=True)
        frames = (torch.full((32, 32, 3), 9 * n % 250, dtype=torch.uint8) for n in range(40))
        count = round(20 * seconds)
        few = (next(frames) for _ in range(count))
        write_video(path, few, fps=Fraction(20), sound=[noise(seconds)])
    (folder / "rain" / "broken.mp4").write_bytes((folder / "rain" / "b.mp4").read_bytes()[:900])
    return folder


def test_a_folder_of_videos(
    capsys: pytest.CaptureFixture[str], media: Path, tiny_model: Path, tmp_path: Path
) -> None:
    base = ["prepare", media, "--output", tmp_path / "out", "--valid", 0.3]
    code, out, _ = run(capsys, *base, "--codes", tiny_model, "--shards", "--json")
    assert code == 1
    report = json.loads(out)
    outcomes = {item["name"]: item for item in report["items"]}
    assert {name: item["outcome"] for name, item in outcomes.items()} == {
        "dog/a": "done",
        "rain/b": "done",
        "rain/broken": "skipped",
    }
    assert outcomes["rain/broken"]["reason"].startswith("broken: ")
    assert (report["made"], report["kept"], report["done"]) == (2, 0, 2)
    corpus = open_corpus(tmp_path / "out")
    assert isinstance(corpus, PreparedCorpus)
    (digest,) = corpus.code_digests
    for split in ("train", "valid", "test"):
        for clip in corpus.records(split):
            assert corpus.codes(clip, digest).shape == (5, corpus.mel(clip).shape[1] // 16)
    shards = open_corpus(tmp_path / "out" / "shards")
    assert isinstance(shards, ShardCorpus)
    assert shards.class_names == ("dog", "rain")
    code, out, _ = run(capsys, *base)
    assert code == 1
    assert "0 made, 2 kept" in out
    assert "skipped rain/broken: broken: " in out
    assert "seconds, least / median / most" in out


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str], media: Path, tmp_path: Path) -> None:
    wrong = (
        ([media, "--features", "smell"], "expected different ones of"),
        ([media, "--features", "sight"], "need a model with an image tower"),
        ([media, "--clips", 3], "--clips is about rendering"),
        ([tmp_path / "none"], "no corpus at"),
        (["foley-room"], "needs --clips"),
        ([media, "--valid", 1], "leave a rest"),
    )
    for arguments, message in wrong:
        code, _, err = run(capsys, "prepare", *arguments, "--output", tmp_path / "out")
        assert (code, message in err) == (2, True), err
    assert not (tmp_path / "out" / "COMPLETE").exists()


def test_ctrl_c_leaves_what_is_whole_and_the_next_run_goes_on(tmp_path: Path) -> None:
    media, out = tmp_path / "media", tmp_path / "out"
    for number in range(40):
        path = media / "a" / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, noise(5.0), provenance=None)
    command = [sys.executable, "-m", "earsight", "prepare", str(media), "--output", str(out)]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    journal = out / "progress.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Traceback" not in err
    assert not (out / "COMPLETE").exists()
    assert [path for path in out.rglob(".*") if path.is_file()] == []
    finished = journal.read_text().count("\n")
    assert 0 < finished < 40
    assert main(command[3:]) == 0
    assert journal.read_text().count("\n") == 40
    assert len(list((out / "mels" / "a").iterdir())) == 40


def test_rendered_clips_are_prepared_with_their_truth(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = ["--clips", 10, "--seconds", 1, "--fps", 10, "--size", 32]
    base = ["prepare", "foley-room", "--output", tmp_path / "room", *small]
    code, out, _ = run(capsys, *base, "--noise", 0.5, "--json")
    assert code == 0
    assert json.loads(out)["statistics"]["clips"] == {"train": 8, "valid": 1, "test": 1}
    corpus = open_corpus(tmp_path / "room")
    assert corpus.class_names[0] == "drop"
    assert len(corpus.class_names) == 10
    for clip in corpus.records("train"):
        truth = json.loads(Path(clip.notes["truth"]).read_text())
        assert truth["classes"][0] == clip.class_name
        assert corpus.wave(clip).numel() == 22050
        assert corpus.features(clip, "motion").shape == (22, 2)
    assert not (tmp_path / "room" / "waves").exists()
    code, _, err = run(capsys, *base, "--seed", 1)
    assert (code, "another seed" in err) == (2, True), err
