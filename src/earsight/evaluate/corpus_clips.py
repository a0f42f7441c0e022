"""Clips of a corpus that a table is made of."""

from typing import Literal

from earsight.data.corpus import SPLITS, ClipRecord, Corpus, Split
from earsight.errors import InputError


def records_of(corpus: Corpus, split: Split | Literal["all"]) -> list[ClipRecord]:
    """Clips of a split or of all. Raises InputError where there are none, telling all sizes."""
    splits = SPLITS if split == "all" else (split,)
    records = [record for name in splits for record in corpus.records(name)]
    if not records:
        sizes = ", ".join(f"{name} {len(corpus.records(name))}" for name in SPLITS)
        raise InputError(f"{corpus.name} has no clips in its {split} split ({sizes})")
    return records


def labelled(records: list[ClipRecord]) -> tuple[list[ClipRecord], list[ClipRecord]]:
    """Clips with a class, and those without one."""
    known = [bool(r.class_name is not None or r.notes.get("classes")) for r in records]
    pairs = list(zip(records, known, strict=True))
    return [r for r, there in pairs if there], [r for r, there in pairs if not there]
