"""`earsight train` without classes, from coarse to fine: killed, and in two processes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earsight.checkpoints.native import read_folder
from earsight.cli.app import main
from earsight.prepare.corpus import prepare_corpus
from earsight.training.rundir import RunDir

pytestmark = pytest.mark.timeout(900)
PHASES = ("curriculum.factors=[2]", "curriculum.epochs=[2]", "save_every=1")
SHORT = ("--set", "curriculum.epochs=[1]", "--set", "num_epochs=1")


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of noise, prepared."""
    root, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    (root / "files").mkdir()
    for number in range(12):
        wave = 0.3 * rng.standard_normal(22050) * np.linspace(0, 1, 22050) ** (number % 3)
        soundfile.write(root / "files" / f"noise_{number}.wav", wave.clip(-1, 1), 22050)
    prepare_corpus(root / "files", root / "prepared", features=())
    return root / "prepared"


def command(recipe: str, sounds: Path, run: Path, *more: str) -> list[str]:
    changes = [word for change in PHASES for word in ("--set", change)]
    return [
        "train", recipe, "--data", str(sounds), "--run", str(run), "--device", "cpu",
        "--no-tensorboard", "--keep", "99", *changes, *more,
    ]  # fmt: skip


def test_a_run_killed_in_its_coarse_phase_ends_as_an_unbroken_one(
    sounds: Path, tmp_path: Path
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert main(command("ssast_pretrain.tiny", sounds, whole)) == 0
    arguments = command("ssast_pretrain.tiny", sounds, run)
    killed = subprocess.Popen([sys.executable, "-m", "earsight", *arguments])
    while killed.poll() is None and RunDir(run).newest is None:
        time.sleep(random.uniform(0, 0.1))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert main([*arguments, "--resume"]) == 0
    assert (run / "log.jsonl").read_text() == (whole / "log.jsonl").read_text()
    assert read_folder(run / "model").sha256 == read_folder(whole / "model").sha256
    epochs = json.loads((run / "ended.json").read_text())["epochs"]
    assert [epoch["factor"] for epoch in epochs] == [2, 2, 1, 1]


@pytest.mark.parametrize("recipe", ["ssast_pretrain.tiny", "audiomae_pretrain.tiny"])
def test_two_processes_train_as_one(recipe: str, sounds: Path, tmp_path: Path) -> None:
    assert main(command(recipe, sounds, tmp_path / "one", *SHORT)) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, "-m", "--", "earsight", *command(recipe, sounds, tmp_path / "two", *SHORT)],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = RunDir(tmp_path / "one").read_log(), RunDir(tmp_path / "two").read_log()
    assert [line.keys() for line in one] == [line.keys() for line in two]
    for ours, theirs in zip(one, two, strict=True):
        for name, value in ours.items():
            assert theirs[name] == pytest.approx(value, abs=1e-3, rel=1e-3), (ours["step"], name)
