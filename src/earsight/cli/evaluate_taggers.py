"""What `earsight evaluate` asks and does for networks that hear: tags, folds, frozen features."""

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from earsight.cli.report import Advance, progress
from earsight.cli.sound_inputs import wanted_model

if TYPE_CHECKING:
    from earsight.evaluate.card import Card
    from earsight.evaluate.tagger_hearing import HearingSettings
    from earsight.evaluate.tagger_table import TaggerJob

NAMES = "'ast', 'htsat-audioset-1', 'audiomae-audioset', 'passt'"
DATA_SETS = (
    *("audioset", "esc10", "esc50", "kinetics_sounds", "speech_commands_v1"),
    *("speech_commands_v2", "vggsound", "voxceleb"),
)


def tagger_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `evaluate tagger` asks."""
    _hearing_arguments(parser)
    parser.add_argument("--split", choices=("train", "valid", "test", "all"), default="test")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N clips only")
    _scoring_arguments(parser)


def run_tagger(args: argparse.Namespace) -> "Card":
    """Judge a tagger on a split of a corpus."""
    from earsight.evaluate.tagger_table import evaluate_tagger

    with _counting() as on_clip:
        return evaluate_tagger(_job(args), on_clip=on_clip)


def fold_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `evaluate folds` asks."""
    _hearing_arguments(parser)
    _scoring_arguments(parser)


def run_folds(args: argparse.Namespace) -> "Card":
    """Judge the networks of a cross-validation, each on its own fold."""
    from earsight.evaluate.fold_table import evaluate_folds

    with _counting() as on_clip:
        return evaluate_folds(_job(args), on_clip=on_clip)


def probe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `evaluate probe` asks."""
    _hearing_arguments(parser)
    parser.add_argument("--kind", choices=("linear", "knn", "both"), default="both")
    parser.add_argument(
        "--folds",
        action="store_true",
        help="judge every fold by what was learnt from the others (default: learn from train and "
        "valid clips, judge test clips)",
    )
    parser.add_argument("--neighbours", type=int, default=10, metavar="K")
    _bootstrap_arguments(parser)


def run_probe(args: argparse.Namespace) -> "Card":
    """Judge frozen features by simple classifiers."""
    from earsight.evaluate.probe_table import ProbeJob, evaluate_probe

    job = ProbeJob(
        model=wanted_model(args.model, names=NAMES),
        data=args.data,
        output=args.output,
        kinds=("linear", "knn") if args.kind == "both" else (args.kind,),
        folds=args.folds,
        num_neighbours=args.neighbours,
        hearing=_hearing(args),
        num_resamples=args.resamples,
        seed=args.seed,
        device=args.device,
    )
    with _counting() as on_clip:
        return evaluate_probe(job, on_clip=on_clip)


def _hearing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="labelled corpus")
    parser.add_argument("--model", metavar="NAME_OR_FOLDER", help="AST, SSAST, HTS-AT, ...")
    parser.add_argument(
        "--sounds",
        choices=("auto", "source", "corpus"),
        default="auto",
        help="the files that clips come from, or the corpus's own sounds at 22050 Hz (auto: the "
        "files where all are there)",
    )
    parser.add_argument(
        "--shifts", type=int, default=1, metavar="N",
        help="average over N cyclic moves of each window (HTS-AT on AudioSet: 10)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="windows at once")


def _scoring_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--classes", metavar="JSON",
        help="the model's class, or classes, for each of the corpus's (default: by name); "
        "audioset: for a model of AudioSet's classes on ESC-50 or ESC-10",
    )  # fmt: skip
    parser.add_argument(
        "--published", choices=DATA_SETS, help="show this data set's published scores beside"
    )
    _bootstrap_arguments(parser)


def _bootstrap_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resamples", type=int, default=200, metavar="N", help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")


def _job(args: argparse.Namespace) -> "TaggerJob":
    from earsight.evaluate.tagger_table import TaggerJob

    return TaggerJob(
        model=wanted_model(args.model, names=NAMES),
        data=args.data,
        output=args.output,
        split=getattr(args, "split", "all"),
        limit=getattr(args, "limit", None),
        hearing=_hearing(args),
        classes=args.classes,
        published=args.published,
        num_resamples=args.resamples,
        seed=args.seed,
        device=args.device,
    )


def _hearing(args: argparse.Namespace) -> "HearingSettings":
    from earsight.evaluate.tagger_hearing import HearingSettings

    return HearingSettings(sounds=args.sounds, num_shifts=args.shifts, batch=args.batch)


@contextmanager
def _counting() -> Generator[Advance]:
    with progress("clips", total=None) as advance:
        yield advance
