"""`earsight train --folds`: a training for every fold, one after the other, and their scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from earsight.cli.report import print_table, tell

if TYPE_CHECKING:
    from earsight.recipes.fold_scores import FoldScores
    from earsight.training.rundir import RunDir

SHOWN = ("accuracy", "mean_average_precision", "tags_mean_average_precision", "held_out_loss")
TrainFold = Callable[["RunDir", int, bool], None]
"""Trains a fold in a folder; the last argument says whether to go on with what is there."""


def train_folds(
    run_dir: "RunDir",
    folds: Sequence[int],
    train: TrainFold,
    *,
    resume: bool,
    settings: Mapping[str, Any],
) -> None:
    """Train the folds in RUN/fold1 and so on, then write RUN/folds.json and print it.

    With `resume`, finished folds are left alone, and one that was begun goes on. Raises InputError
    for a folder in use without `resume`.
    """
    from dataclasses import replace

    from earsight.recipes.fold_scores import (
        FOLDS_FILE,
        fold_folder,
        fold_scores,
        is_finished,
        write_fold_scores,
    )

    world = run_dir.world
    for fold in folds:
        folder = fold_folder(run_dir.path, fold)
        if resume and world.any(is_finished(folder)):
            continue
        if world.is_first:
            tell(f"fold {fold} of {', '.join(map(str, folds))}")
        own = replace(run_dir, path=folder)
        train(own, fold, resume and _can_go_on(own))
    if world.is_first:
        scores = fold_scores({fold: fold_folder(run_dir.path, fold) for fold in folds})
        write_fold_scores(run_dir.path / FOLDS_FILE, scores, settings=settings)
        print_fold_scores(scores)
        tell(f"wrote {run_dir.path / FOLDS_FILE}")


def print_fold_scores(scores: "FoldScores") -> None:
    """A row a fold, then mean, standard error and 95 % interval."""
    names = [name for name in SHOWN if name in scores.together]
    rows: list[list[str]] = [
        [f"fold {fold}", *(f"{told[name]:.4f}" for name in names)]
        for fold, told in scores.by_fold.items()
    ]
    together = [scores.together[name] for name in names]
    rows.append(["mean", *(f"{found.mean:.4f}" for found in together)])
    errors = [(found.standard_error, found.interval_95) for found in together]
    rows.append(["standard error", *("" if e is None else f"{e:.4f}" for e, _ in errors)])
    rows.append(["95 %", *("" if i is None else f"{i[0]:.4f} to {i[1]:.4f}" for _, i in errors)])
    print_table(["", *(name.replace("_", " ") for name in names)], rows)


def _can_go_on(run_dir: "RunDir") -> bool:
    """Whether a fold has a checkpoint; one that was killed before its first begins anew."""
    ready = run_dir.newest is not None
    if run_dir.world.any(ready):
        return True
    if run_dir.world.is_first:
        for name in ("recipe.json", "log.jsonl"):
            (run_dir.path / name).unlink(missing_ok=True)
    run_dir.world.any(False)  # nobody starts before the folder is free
    return False
