"""Which clips `earsight train` trains on: the corpora, a fold of them, a few labels."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from earsight.cli.report import tell

if TYPE_CHECKING:
    from earsight.data.corpus import Corpus
    from earsight.training.distributed import World
    from earsight.training.rundir import RunDir

SELECTION_FILE = "selection.json"
FOLD_MARK = "{fold}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is taken of the corpora; the default takes all as it is."""

    fold: int | None = None
    fold_valid: Literal["next", "test"] = "test"
    labels_per_class: int | None = None
    check_on_test: bool = False

    @property
    def checks_on_test(self) -> bool:
        """Whether the valid clips are test clips."""
        return self.check_on_test or (self.fold is not None and self.fold_valid == "test")

    def plain(self) -> dict[str, Any]:
        """What the run's folder keeps: nothing where all is taken."""
        told = asdict(self)
        if self.fold is None:
            del told["fold_valid"]
        return {name: value for name, value in told.items() if value}


def configure_selection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose clips."""
    group = parser.add_argument_group("clips")
    folds = group.add_mutually_exclusive_group()
    folds.add_argument(
        "--fold",
        type=int,
        metavar="K",
        help="test on fold K of corpora with folds, train on the others",
    )
    folds.add_argument(
        "--folds",
        action="store_true",
        help="every fold in turn, in RUN/fold1 and so on; RUN/folds.json has the mean. With "
        f"--fold or --folds, {FOLD_MARK} in a --set value is the fold's number",
    )
    group.add_argument(
        "--fold-valid",
        choices=("test", "next"),
        default="test",
        help="valid clips: those of the test fold (default; for trainings that keep their last "
        "weights), or those of the next fold, which is then not trained on",
    )
    group.add_argument(
        "--labels-per-class",
        type=int,
        metavar="N",
        help="train on N labelled clips of every class of each corpus",
    )
    group.add_argument(
        "--check-on-test",
        action="store_true",
        help="train on the valid clips too and check with the test clips, as is done on corpora "
        "without official valid clips (AudioSet, FSDD)",
    )


def changes_of_fold(changes: Sequence[str], fold: int | None) -> list[str]:
    """`--set` texts with the fold's number filled in. Raises InputError where there is no fold."""
    from earsight.errors import InputError

    marked = [change for change in changes if FOLD_MARK in change.partition("=")[2]]
    if marked and fold is None:
        raise InputError(f"--set {marked[0]}: {FOLD_MARK} needs --fold K or --folds")
    return [
        field + equals + value.replace(FOLD_MARK, str(fold))
        for field, equals, value in (change.partition("=") for change in changes)
    ]


def all_folds(corpora: "Sequence[Corpus]") -> tuple[int, ...]:
    """Folds of the corpora that have them. Raises InputError for none, or different ones."""
    from earsight.data.folds import folds_of
    from earsight.errors import InputError

    found = {corpus.name: folds_of(corpus) for corpus in corpora}
    different = {folds for folds in found.values() if folds}
    if len(different) != 1:
        told = "; ".join(f"{name}: {folds or 'none'}" for name, folds in found.items())
        raise InputError(f"expected corpora with the same folds, or without, found {told}")
    return different.pop()


def select(corpora: "Sequence[Corpus]", selection: Selection, *, seed: int) -> "list[Corpus]":
    """What the selection takes. Raises InputError where no corpus has folds, or classes."""
    from earsight.data.few_labels import FewLabels
    from earsight.data.folds import FoldedCorpus, folds_of

    taken = list(corpora)
    if selection.fold is not None:
        fold, valid = selection.fold, selection.fold_valid
        having = [corpus for corpus in taken if folds_of(corpus)] or taken
        taken = [
            FoldedCorpus(corpus, fold, valid=valid) if corpus in having else corpus
            for corpus in taken
        ]
    if selection.check_on_test:
        taken = [_checked_on_test(corpus) for corpus in taken]
    if selection.labels_per_class is not None:
        count = selection.labels_per_class
        having = [corpus for corpus in taken if corpus.class_names] or taken
        taken = [
            FewLabels(corpus, count, seed=seed) if corpus in having else corpus for corpus in taken
        ]
    return taken


def _checked_on_test(corpus: "Corpus") -> "Corpus":
    """Valid clips to train on, test clips to check with; as it is without test clips."""
    from earsight.data.regrouped import RegroupedCorpus

    test = corpus.records("test")
    if not test:
        return corpus
    known = {record.id for record in test}
    rest = [*corpus.records("train"), *corpus.records("valid")]
    train = [record for record in rest if record.id not in known]
    return RegroupedCorpus(corpus, {"train": train, "valid": test, "test": test})


def note_selection(run_dir: "RunDir", selection: Selection) -> None:
    """Write down the selection, or raise InputError where the run was begun with another one."""
    from earsight.errors import InputError
    from earsight.files import write_json

    if not run_dir.world.is_first:
        return
    noted, begun = run_dir.path / SELECTION_FILE, (run_dir.path / "recipe.json").exists()
    before: dict[str, Any] = {}
    if noted.is_file():
        before = json.loads(noted.read_text(encoding="utf-8"))
    if begun and before != selection.plain():
        raise InputError(
            f"{run_dir.path} was begun with {_words(before)}, not with "
            f"{_words(selection.plain())}: resume with the same, or choose another folder"
        )
    if selection.plain():
        write_json(noted, selection.plain(), overwrite=True)


def warn_of_chosen_test(recipe: object, selection: Selection) -> None:
    """Say it where test clips decide which weights are kept."""
    keeps_best = getattr(recipe, "keep", "last") == "best"
    chooses = keeps_best and getattr(recipe, "average_epochs", None) is None
    if selection.checks_on_test and (chooses or getattr(recipe, "patience", None)):
        tell(
            "warning: the valid clips are test clips, and this recipe chooses its weights by them, "
            "so the test scores are too good: keep the last weights (--set keep=last --set "
            "patience=none), or check on others (--fold-valid next)"
        )


def warn_of_drift(recipe: object, corpora: "Sequence[Corpus]") -> None:
    """Say it where a corpus's log filterbanks are not what the recipe normalises for."""
    from earsight.data.fbank_measured import measured_fbank, statistics_drift
    from earsight.recipes.expected_input import expected_input

    expected = expected_input(recipe)
    if expected is None:
        return
    for corpus in corpora:
        told = statistics_drift(measured_fbank(corpus), expected.statistics, fill=expected.fill)
        if told is not None:
            tell(f"warning: {corpus.name}: {told}")


def open_corpora(
    folders: Sequence[Path], run_dir: "RunDir", options: Mapping[str, Any]
) -> "list[Corpus]":
    """Corpora of folders; folders of media are prepared into RUN/data first, by one process.

    `options` of `prepare_corpus` are what the recipe needs of them.
    """
    from earsight.data.open_corpus import open_corpus
    from earsight.data.prepared import is_prepared
    from earsight.errors import InputError

    corpora: list[Corpus] = []
    for place, folder in enumerate(folders):
        try:
            corpora.append(open_corpus(folder))
        except InputError:
            if not folder.is_dir() or is_prepared(folder):
                raise
            corpora.append(open_corpus(_prepare(folder, run_dir, place, options)))
    return corpora


def _prepare(folder: Path, run_dir: "RunDir", place: int, options: Mapping[str, Any]) -> Path:
    from earsight.prepare.corpus import prepare_corpus

    target = run_dir.path / "data" / f"{place}_{folder.name}"
    failure: Exception | None = None
    if run_dir.world.is_first:
        tell(f"preparing {folder} into {target}")
        try:
            done = prepare_corpus(folder, target, **options)
            tell(f"{done.num_made + done.num_kept} clips, {len(done.skipped)} skipped")
        except Exception as error:  # told to the processes that wait, then raised
            failure = error
    _wait(run_dir.world, failure)
    return target


def _wait(world: "World", failure: Exception | None) -> None:
    from earsight.errors import InputError

    anywhere = world.any(failure is not None)
    if failure is not None:
        raise failure
    if anywhere:
        raise InputError("the first process could not prepare the data: its message says why")


def _words(selection: Mapping[str, Any]) -> str:
    told = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for name, value in selection.items()
    ]
    return " ".join(told) or "all clips"
