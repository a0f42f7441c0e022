"""Cross-validation: the official folds of a corpus, one of them held out."""

from typing import Literal

from earsight.data.corpus import SPLITS, ClipRecord, Corpus, Split
from earsight.data.regrouped import RegroupedCorpus
from earsight.errors import InputError

FoldValid = Literal["next", "test"]


class FoldedCorpus(RegroupedCorpus):
    """Every clip of a corpus in the split that its fold (`notes["fold"]`) gives it.

    Clips of `test_fold` are "test", all others "train". `valid` "test" makes the test fold the
    "valid" split as well: for trainings of fixed length that keep their last weights, as results
    on ESC-10 and ESC-50 are published. `valid` "next" takes the fold behind it, the first one
    behind the last, out of "train" instead: for all that chooses by "valid" clips. Clips without
    a fold keep their split. Raises InputError for a corpus without folds, a fold that it does not
    have, and folds too few to leave one to train on.
    """

    def __init__(self, corpus: Corpus, test_fold: int, *, valid: FoldValid = "test") -> None:
        self.folds = folds_of(corpus)
        self.test_fold = test_fold
        self.valid_fold = _valid_fold(corpus.name, self.folds, test_fold, valid)
        splits: dict[Split, list[ClipRecord]] = {split: [] for split in SPLITS}
        for split in SPLITS:
            for record in corpus.records(split):
                for target in self._targets(fold_of(record), split):
                    splits[target].append(record)
        super().__init__(corpus, splits)

    def _targets(self, fold: int | None, split: Split) -> list[Split]:
        """Splits that a clip goes into."""
        if fold is None:
            return [split]
        held_out: dict[Split, int] = {"valid": self.valid_fold, "test": self.test_fold}
        return [name for name, number in held_out.items() if fold == number] or ["train"]


def fold_of(record: ClipRecord) -> int | None:
    """Fold of a clip, None without one."""
    fold = record.notes.get("fold")
    return None if fold is None else int(fold)


def folds_of(corpus: Corpus) -> tuple[int, ...]:
    """Folds that a corpus's clips have, in order; empty without folds."""
    found = {fold_of(record) for split in SPLITS for record in corpus.records(split)}
    return tuple(sorted(fold for fold in found if fold is not None))


def _valid_fold(name: str, folds: tuple[int, ...], test_fold: int, valid: FoldValid) -> int:
    if not folds:
        raise InputError(
            f"{name} has no folds: take a corpus whose clips have them (ESC-10, ESC-50, or a table "
            "with a column fold), or train without folds"
        )
    known = ", ".join(map(str, folds))
    if test_fold not in folds:
        raise InputError(f"{name} has no fold {test_fold}: choose one of {known}")
    fewest = 3 if valid == "next" else 2
    if len(folds) < fewest:
        raise InputError(
            f"{name} has folds {known}: {fewest} are needed, so that one is left to train on"
        )
    return test_fold if valid == "test" else folds[(folds.index(test_fold) + 1) % len(folds)]
