"""`earsight train` as people run it: killed, stopped, in two processes, on a full disk."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from earsight.checkpoints.native import read_folder
from earsight.cli.app import main
from earsight.training.rundir import RunDir

pytestmark = pytest.mark.timeout(900)  # seven trainings and four fresh interpreters
LONG = ("--set", "num_steps=16", "--set", "check_every=8")
EXACT = ("model.dropout=0", "weights.perceptual=0", "weights.minimum_adaptive=1",
         "weights.maximum_adaptive=1", "num_steps=8")  # fmt: skip
"""Without what each process draws or weighs by itself."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine short spectrograms in the layout of VAS."""
    root, rng = tmp_path_factory.mktemp("vas"), np.random.default_rng(0)
    folder = root / "features" / "dog" / "melspec_10s_22050hz"
    folder.mkdir(parents=True)
    for number in range(9):
        mel = (rng.random((80, 100)).cumsum(0) / 80).astype(np.float32)
        np.save(folder / f"video_{number:05d}_mel.npy", mel)
    for split, numbers in (("train", range(6)), ("valid", range(6, 9))):
        names = "".join(f"dog/video_{number:05d}\n" for number in numbers)
        (root / f"vas_{split}.txt").write_text(names)
    return root


def command(corpus: Path, run: Path, *more: str) -> list[str]:
    return [
        "train", "specvqgan_codebook.tiny", "--data", str(corpus), "--run", str(run),
        "--device", "cpu", "--no-tensorboard", *more,
    ]  # fmt: skip


@pytest.fixture(scope="session")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    assert main(command(corpus, run, *LONG)) == 0
    return run


def assert_same(run: Path, other: Path) -> None:
    assert (run / "log.jsonl").read_text() == (other / "log.jsonl").read_text()
    assert read_folder(run / "model").sha256 == read_folder(other / "model").sha256


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "earsight", *arguments], stderr=subprocess.PIPE, text=True
    )


def wait_for_checkpoint(run: Path, process: subprocess.Popen[str], *, beyond: int) -> None:
    """Until a checkpoint after step `beyond`, and for a moment more."""
    while process.poll() is None:
        newest = RunDir(run).newest
        if newest is not None and int(newest.name[5:]) > beyond:
            time.sleep(random.uniform(0, 0.2))
            return
        time.sleep(0.05)


def test_a_killed_and_a_stopped_run_end_as_an_unbroken_one(
    corpus: Path, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    killed = start(command(corpus, run, *LONG))
    wait_for_checkpoint(run, killed, beyond=0)
    killed.send_signal(signal.SIGKILL)
    assert killed.communicate() is not None
    before = RunDir(run).newest
    assert before is not None
    stopped = start(command(corpus, run, *LONG, "--resume"))
    wait_for_checkpoint(run, stopped, beyond=int(before.name[5:]))
    stopped.send_signal(signal.SIGTERM)
    _, told = stopped.communicate()
    if stopped.returncode:  # it may have been at its end already
        assert stopped.returncode == 130, told
        assert "go on with --resume" in told
        assert main(command(corpus, run, *LONG, "--resume")) == 0
    assert_same(run, unbroken)


def test_two_processes_lose_as_much_as_one(corpus: Path, tmp_path: Path) -> None:
    exact = [word for change in EXACT for word in ("--set", change)]
    assert main(command(corpus, tmp_path / "one", *exact)) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = command(corpus, tmp_path / "two", *exact)
    done = subprocess.run(
        [*launcher, "-m", "--", "earsight", *arguments],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = RunDir(tmp_path / "one").read_log(), RunDir(tmp_path / "two").read_log()
    assert [line.keys() for line in one] == [line.keys() for line in two]
    for ours, theirs in zip(one, two, strict=True):
        for name, value in ours.items():
            bound = 1e-4 if name.endswith("gradient") else 1e-5
            assert theirs[name] == pytest.approx(value, abs=bound, rel=bound), (ours["step"], name)


@contextmanager
def full_disk_after_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After the first checkpoint no file grows beyond 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    write = RunDir.save_state

    def write_and_fill(self: RunDir, state: dict[str, object]) -> Path:
        path = write(self, state)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        return path

    try:
        with monkeypatch.context() as patch:
            patch.setattr(RunDir, "save_state", write_and_fill)
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_a_checkpoint_to_go_on_from(
    corpus: Path,
    unbroken: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    with full_disk_after_a_checkpoint(monkeypatch):
        assert main(command(corpus, run, *LONG)) == 1
    told = capsys.readouterr().err
    assert "File too large" in told
    assert "step_000002, is intact; make room, then go on with --resume" in told
    assert [path.name for path in RunDir(run).checkpoints()] == ["step_000002"]
    assert main(command(corpus, run, *LONG, "--resume")) == 0
    assert_same(run, unbroken)


def test_losses_beyond_measure_and_broken_clips_are_told(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(corpus, tmp_path / "hot", "--set", "rate=1e30")) == 1
    assert "so training cannot go on, and nothing was saved before" in capsys.readouterr().err
    broken = tmp_path / "broken"
    broken.symlink_to(corpus)
    clip = corpus / "features" / "dog" / "melspec_10s_22050hz" / "video_00003_mel.npy"
    whole = clip.read_bytes()
    clip.write_bytes(whole[:200])
    try:
        assert main(command(broken, tmp_path / "run")) == 2
    finally:
        clip.write_bytes(whole)
    assert "clip dog/video_00003 of vas cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "run" / "model").exists()


def test_a_folder_of_sounds_is_prepared_first(
    tmp_path: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(12):
        (folder / f"tone_{number}.wav").symlink_to(sound)
    assert main(command(folder, tmp_path / "run", "--set", "num_steps=6")) == 0
    assert "preparing" in capsys.readouterr().err
    card = json.loads((tmp_path / "run" / "data" / "0_sounds" / "corpus.json").read_text())
    assert card["feature_kinds"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["specvqgan_codbook.tiny"], "no recipe 'specvqgan_codbook', nearest: specvqgan_codebook"),
        (["specvqgan_codebook.small"], "choose one of specvqgan_codebook.published"),
        (["specvqgan_codebook.tiny", "--set", "nm_steps=1"], "nearest: num_steps"),
    ],
)
def test_wrong_names_are_met_with_near_ones(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words, "--data", "nowhere", "--run", "run"]) == 2
    assert message in capsys.readouterr().err
