"""`earsight train --folds` on a small ESC-10: every fold held out once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.cli.app import main
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def esc10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of two clips in each of three folds."""
    root, rng = tmp_path_factory.mktemp("esc10"), np.random.default_rng(0)
    for place, folder in enumerate(("001 - Dog bark", "002 - Rain")):
        for number in range(6):
            noise = torch.from_numpy(rng.normal(size=(1, 11025))).float() * 0.1
            tone = torch.sin(torch.arange(11025) * 0.2 * (1 + 4 * place))[None] * 0.3
            path = root / folder / f"{1 + number // 2}-{place}{number}-A.wav"
            path.parent.mkdir(exist_ok=True)
            write_audio(path, Waveform(noise + tone, 22050), provenance=None)
    return root


def command(esc10: Path, run: Path, *more: str) -> list[str]:
    return [
        "train", "specvqgan_vggishish.tiny", "--data", str(esc10), "--run", str(run),
        "--device", "cpu", "--no-tensorboard", "--fold-valid", "next", *more,
    ]  # fmt: skip


def test_every_fold_is_held_out_once(
    esc10: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(command(esc10, run, "--folds", "--labels-per-class", "1")) == 0
    shown = capsys.readouterr().out
    told = json.loads((run / "folds.json").read_text())
    assert list(told["folds"]) == ["1", "2", "3"]
    assert all(scores["num_clips"] == 4 for scores in told["folds"].values())
    assert f"mean            {told['together']['accuracy']['mean']:.4f}" in shown
    shutil.rmtree(run / "fold2" / "model")
    kept = (run / "fold1" / "scores.json").stat().st_mtime_ns
    assert main(command(esc10, run, "--folds", "--labels-per-class", "1", "--resume")) == 0
    assert (run / "fold1" / "scores.json").stat().st_mtime_ns == kept
    assert json.loads((run / "folds.json").read_text()) == told
    other = command(esc10, run, "--folds", "--labels-per-class", "2", "--resume")
    shutil.rmtree(run / "fold3" / "model")
    assert main(other) == 2
    assert "--labels-per-class 1, not with" in capsys.readouterr().err
