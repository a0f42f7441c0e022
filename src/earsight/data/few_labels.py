"""Few labels: a corpus of which only some training clips of every class are used."""

import hashlib

from earsight.data.corpus import SPLITS, ClipRecord, Corpus, Split
from earsight.data.regrouped import RegroupedCorpus
from earsight.errors import InputError

_LISTED = 5


class FewLabels(RegroupedCorpus):
    """`per_class` clips of every class of "train"; "valid" and "test" are as they were.

    Clips are drawn by a hash of their id and `seed`: those of a smaller number are among those of
    a larger one, and neither order nor folds of other clips matter. Clips without a class are
    left out of "train". Raises InputError where a class that is trained on has fewer clips, naming
    such classes.
    """

    def __init__(self, corpus: Corpus, per_class: int, *, seed: int = 0) -> None:
        if per_class < 1:
            raise InputError(f"{per_class} labelled clips a class teach nothing: take 1 or more")
        by_class: dict[str, list[ClipRecord]] = {}
        for record in corpus.records("train"):
            if record.class_name is not None:
                by_class.setdefault(record.class_name, []).append(record)
        short = [f"{name} {len(own)}" for name, own in by_class.items() if len(own) < per_class]
        if short or not by_class:
            listed = ", ".join(short[:_LISTED]) or "none has a class"
            raise InputError(
                f"{corpus.name}: {len(short)} of {len(by_class)} classes have fewer than "
                f"{per_class} training clips ({listed}): take a smaller number"
            )
        drawn = {
            record.id
            for own in by_class.values()
            for record in sorted(own, key=lambda record: _place(record.id, seed))[:per_class]
        }
        splits: dict[Split, list[ClipRecord]] = {
            split: list(corpus.records(split)) for split in SPLITS
        }
        splits["train"] = [record for record in splits["train"] if record.id in drawn]
        super().__init__(corpus, splits)


def _place(clip_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{clip_id}".encode()).digest()
