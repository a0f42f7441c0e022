"""What a run keeps when things go wrong: full disks, signals, kills, many processes."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from earsight.errors import InputError, TrainingError, TrainingStopped
from earsight.training import interrupt
from earsight.training.curves import draw_curves
from earsight.training.distributed import World
from earsight.training.interrupt import StopRequest
from earsight.training.rundir import RunDir

BIG = {"step": 2, "weights": torch.arange(100_000)}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file grows beyond 100 kB: the next write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_names_the_checkpoint_that_is_intact(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.save_state({"step": 1})
    with pytest.raises(TrainingError, match=r"File too large.*step_000001, is intact; make room"):
        run.save_state(BIG)
    with pytest.raises(TrainingError, match="best_000002"):
        run.keep_best(BIG, 1.0)
    (tmp_path / "log.jsonl").write_text("x" * 99_999)
    with pytest.raises(TrainingError, match=r"log\.jsonl"):
        run.log(2, {"loss": 1.0})
    assert run.load_state() == {"step": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "step_000001"]


def test_a_signal_saves_first_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StopRequest().on_signals() as stop:
        run = RunDir(tmp_path, stop=stop)
        assert not run.save_due(3, every=10, last=20)
        signal.raise_signal(signal.SIGTERM)
        assert run.save_due(3, every=10, last=20)
        with pytest.raises(TrainingStopped, match=r"SIGTERM after step 3, saved .* --resume"):
            run.save_state({"step": 3})
        signal.raise_signal(signal.SIGINT)  # the same wish, told twice
        monkeypatch.setattr(interrupt, "SAME_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert run.load_state() == {"step": 3}
    fresh = RunDir(tmp_path)
    assert [s for s in range(1, 8) if fresh.save_due(s, every=3, last=7)] == [3, 6, 7]


def test_the_best_state_is_kept_apart_and_alone(tmp_path: Path) -> None:
    run = RunDir(tmp_path, keep=1)
    with pytest.raises(InputError, match="holds no best state"):
        run.load_best()
    for step in (999_999, 1_000_000, 1_000_000):  # names of two lengths, one step twice
        run.keep_best({"step": step}, 0.5)
        run.save_state({"step": step})
    assert run.load_best() == {"step": 1_000_000}
    assert [path.name for path in run.checkpoints()] == ["step_1000000"]
    assert len(list(tmp_path.glob("best_*"))) == 1


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    run = RunDir(tmp_path, tensorboard=True, world=World(1, 1, torch.device("cpu")))
    run.note_recipe(StopRequest(), resume=False)
    run.log(1, {"loss": 1.0})
    run.log_picture(1, "mel", torch.rand(4, 4))
    run.save_state({"step": 1})
    run.keep_best({"step": 1}, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_curves_are_drawn_from_the_log(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with pytest.raises(InputError, match="no log to draw"):
        draw_curves(run, tmp_path / "curves.png")
    for step in (1, 2):
        run.log(step, {"loss": 1 / step, "rate": 0.1})
    with pytest.raises(InputError, match="never logged: lost; there are loss, rate"):
        draw_curves(run, tmp_path / "curves.png", names=["lost"])
    draw_curves(run, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[1:4] == b"PNG"
