"""Folds of a training: which are run, which are left alone, and what they say together."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import Tensor

from earsight.cli.train_clips import Selection, changes_of_fold, note_selection, select
from earsight.cli.train_folds import train_folds
from earsight.data.corpus import SPLITS, ClipRecord, Split
from earsight.errors import InputError, TrainingStopped
from earsight.training.rundir import RunDir

SCORES = {1: 0.5, 2: 0.7, 3: 0.9}


class Trainings:
    """Trainings that write what a real one does; `stop_in` is stopped once, after a checkpoint."""

    def __init__(self, *, stop_in: int | None = None, checkpoint: bool = True) -> None:
        self.calls: list[tuple[int, bool]] = []
        self._stop_in, self._checkpoint = stop_in, checkpoint

    def __call__(self, run: RunDir, fold: int, resume: bool) -> None:
        self.calls.append((fold, resume))
        run.note_recipe(Selection(), resume=resume)
        if fold == self._stop_in:
            self._stop_in = None
            if self._checkpoint:
                run.save_state({"step": 1})
            raise TrainingStopped("stopped")
        told = {"overall": {"top_1": SCORES[fold]}, "ended": "at its end", "step": 7, "best": None}
        (run.path / "scores.json").write_text(json.dumps(told))
        (run.path / "model").mkdir()


def test_a_stopped_cross_validation_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for checkpoint in (True, False):
        run = RunDir(tmp_path / str(checkpoint))
        train = Trainings(stop_in=2, checkpoint=checkpoint)
        with pytest.raises(TrainingStopped):
            train_folds(run, [1, 2, 3], train, resume=False, settings={})
        assert not (run.path / "folds.json").exists()
        with pytest.raises(InputError, match="holds a run already"):
            train_folds(run, [1, 2, 3], train, resume=False, settings={})
        train.calls.clear()
        train_folds(run, [1, 2, 3], train, resume=True, settings={"recipe": "x"})
        assert train.calls == [(2, checkpoint), (3, False)]
        told = json.loads((run.path / "folds.json").read_text())
        assert told["folds"]["3"] == {"accuracy": 0.9, "step": 7.0}
        accuracy = told["together"]["accuracy"]
        assert (told["recipe"], accuracy["mean"]) == ("x", pytest.approx(0.7, abs=1e-12))
        assert accuracy["standard_error"] == pytest.approx(0.2 / 3**0.5, abs=1e-12)
    assert "standard error  0.1155" in capsys.readouterr().out


def test_the_folds_number_is_filled_in_after_the_sign() -> None:
    assert changes_of_fold(["start=PRE/fold{fold}/model", "seed=1"], 3) == [
        "start=PRE/fold3/model",
        "seed=1",
    ]
    with pytest.raises(InputError, match="needs --fold K or --folds"):
        changes_of_fold(["start=PRE/fold{fold}/model"], None)


def test_a_run_goes_on_with_the_clips_it_began_with(tmp_path: Path) -> None:
    run, first = RunDir(tmp_path), Selection(fold=2, labels_per_class=5)
    note_selection(run, first)
    run.note_recipe(first, resume=False)
    note_selection(run, first)
    for other in (Selection(), Selection(fold=1, labels_per_class=5)):
        with pytest.raises(InputError, match="begun with --fold 2 --fold-valid test --labels"):
            note_selection(run, other)


class Few:
    """Three clips a split; the first test clip is a valid clip, too."""

    name, class_names = "few", ("a",)

    def records(self, split: Split) -> Sequence[ClipRecord]:
        names = {"train": ("t0", "t1", "t2"), "valid": ("v0", "v1", "v2"), "test": ("v0", "s1")}
        return [
            ClipRecord(
                id=name, split=split, class_index=0, class_name="a", seconds=1.0, source=Path("x")
            )
            for name in names[split]
        ]

    def mel(self, record: ClipRecord) -> Tensor:
        raise AssertionError

    def wave(self, record: ClipRecord) -> Tensor:
        raise AssertionError

    def features(self, record: ClipRecord, kind: str) -> Tensor:
        raise AssertionError


def test_checks_on_test_leave_no_test_clip_to_train_on() -> None:
    (taken,) = select([Few()], Selection(check_on_test=True), seed=0)
    found = [[record.id for record in taken.records(split)] for split in SPLITS]
    assert found == [["t0", "t1", "t2", "v1", "v2"], ["v0", "s1"], ["v0", "s1"]]
    plain = Selection(check_on_test=True).plain()
    assert plain == {"check_on_test": True}
