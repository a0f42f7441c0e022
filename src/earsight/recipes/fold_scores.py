"""One result out of the runs of a cross-validation: every fold's scores, their mean and its error.

RUN/folds.json holds them; RUN/fold1, RUN/fold2 and so on are the runs.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from earsight.errors import InputError
from earsight.files import write_json
from earsight.metrics.repeats import Repeated, repeated

FOLDS_FILE = "folds.json"
ENDINGS = ("ended.json", "scores.json")
RESULTS = ("model", "pipeline")
NAMES = {"top_1": "accuracy"}
"""Scores that go by another name here than in RUN/scores.json."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldScores:
    """Numbers that every fold's run told at its end, and what they say together, by name."""

    by_fold: Mapping[int, Mapping[str, float]]
    together: Mapping[str, Repeated]


def fold_folder(run: Path, fold: int) -> Path:
    """Folder of a fold's run."""
    return run / f"fold{fold}"


def is_finished(run: Path) -> bool:
    """Whether a run told how it ended and exported its weights."""
    told = any((run / name).is_file() for name in ENDINGS)
    return told and any((run / name).is_dir() for name in RESULTS)


def fold_scores(runs: Mapping[int, Path]) -> FoldScores:
    """Scores of finished runs, by fold. Raises InputError for a run that told none."""
    by_fold = {fold: _told(run) for fold, run in sorted(runs.items())}
    everywhere = set[str].intersection(*map(set, by_fold.values())) if by_fold else set[str]()
    shared = sorted(everywhere)
    together = {name: repeated([told[name] for told in by_fold.values()]) for name in shared}
    return FoldScores(by_fold=by_fold, together=together)


def write_fold_scores(path: Path, scores: FoldScores, *, settings: Mapping[str, Any]) -> None:
    """Write RUN/folds.json, whole, replacing an older one; `settings` says what was run."""
    plain = {
        **settings,
        "together": {name: asdict(found) for name, found in scores.together.items()},
        "folds": {str(fold): dict(told) for fold, told in scores.by_fold.items()},
    }
    write_json(path, plain, overwrite=True)


def _told(run: Path) -> dict[str, float]:
    """Finite numbers of a run's ending: its own, and those over all test clips."""
    found: dict[str, float] = {}
    for name in ENDINGS:
        if (run / name).is_file():
            read = cast(dict[str, Any], json.loads((run / name).read_text(encoding="utf-8")))
            found |= _numbers(read.get("overall") or {}) | _numbers(read)
    if not found:
        raise InputError(f"{run} has neither {' nor '.join(ENDINGS)}: train this fold first")
    return found


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        NAMES.get(name, name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
