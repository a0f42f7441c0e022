"""One item of a corpus: where its file lies and what is known about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from earsight.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A sound of a labelled corpus.

    `fold` is the official cross-validation fold, counted from 1. `source_id` names the recording
    at its origin: takes cut from one recording share it.
    """

    id: str
    path: Path
    class_index: int
    class_name: str
    fold: int
    source_id: str


def in_folds(records: Iterable[Record], folds: Sequence[int]) -> list[Record]:
    """Records of the folds, in their order.

    Raises InputError where none is left, naming the folds that exist.
    """
    found = list(records)
    kept = [record for record in found if record.fold in folds]
    if not kept:
        known = sorted({record.fold for record in found})
        raise InputError(f"no record in folds {list(folds)}: the corpus has folds {known}")
    return kept
