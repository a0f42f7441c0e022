"""`earsight evaluate`: a published table's protocol on a model or on folders of sounds."""

import argparse
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.evaluate_taggers import (
    fold_arguments,
    probe_arguments,
    run_folds,
    run_probe,
    run_tagger,
    tagger_arguments,
)
from earsight.cli.report import print_json, print_table, progress, tell
from earsight.cli.sampling_options import asked_sampling
from earsight.errors import InputError

if TYPE_CHECKING:
    from earsight.evaluate.card import Card, Difference
    from earsight.evaluate.judge import Judge
    from earsight.evaluate.workers import GenerationJob
    from earsight.training.distributed import World

NO_JUDGE = "none"
Configure = Callable[[argparse.ArgumentParser], None]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    tables = parser.add_subparsers(dest="table", required=True, metavar="TABLE")
    for name, (summary, add_arguments) in TABLES.items():
        below = tables.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + "."
        )
        add_arguments(below)
        below.add_argument("--output", type=Path, required=True, metavar="DIR")
        below.add_argument(
            "--against", type=Path, metavar="CARD", help="print differences from another card"
        )
        below.add_argument("--device", default="cpu")
        below.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Evaluate, write card and page, print the table; 1 where something was left out."""
    from earsight.evaluate.card import differences, read_card
    from earsight.extras import require

    for module, extra in (("scipy", "evaluate"), ("matplotlib", "plots")):
        require(module, extra=extra, purpose="evaluating")
    other = None if args.against is None else read_card(args.against)
    card = RUNS[args.table](args)
    if card is None:
        return 0
    changes = None
    try:
        changes = None if other is None else differences(card, other)
    finally:
        # a refused comparison does not take the numbers with it
        _print(card, changes, args)
    return 1 if card.counts.skipped or card.counts.found < card.counts.expected else 0


def _specvqgan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--real", type=Path, metavar="DIR", help="real sounds or spectrograms")
    parser.add_argument("--fake", type=Path, metavar="DIR", help="sounds of any system")
    _judge_argument(parser)
    _generation_arguments(parser, needs_data=False)


def _foley_arguments(parser: argparse.ArgumentParser) -> None:
    _judge_argument(parser)
    _generation_arguments(parser, needs_data=True)


def _codebook_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="corpus, or folder of sounds")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--split", choices=("train", "valid", "test", "all"), default="test")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N clips only")
    _judge_argument(parser)


def _judge_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--judge",
        default="bundled",
        metavar="MODEL",
        help="who judges: bundled, a Melception's folder, or converted official weights by name; "
        "none where the table can do without",
    )


TABLES: Mapping[str, tuple[str, Configure]] = {
    "specvqgan": ("FID, KID, ISC and MKL of generated sounds", _specvqgan_arguments),
    "foley_room": ("timing, relevance and loudness against known truth", _foley_arguments),
    "codebook": ("reconstruction and use of a codebook's codes", _codebook_arguments),
    "tagger": ("mAP, d prime, accuracy and confusions of a tagger", tagger_arguments),
    "folds": ("a cross-validation: each fold's tagger on its own fold", fold_arguments),
    "probe": ("what simple classifiers read from frozen features", probe_arguments),
}
"""Every table that can be evaluated, with its line in the help and its arguments."""


def _generation_arguments(parser: argparse.ArgumentParser, *, needs_data: bool) -> None:
    parser.add_argument("--data", type=Path, required=needs_data, metavar="DIR", help="corpus")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--split", choices=("train", "valid", "test"), default="test")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="samples per clip")
    parser.add_argument(
        "--rank", type=int, default=1, metavar="N", help="keep the best of N candidates"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N clips only")
    parser.add_argument("--class-known", action="store_true", help="tell the model the class")
    parser.add_argument("--no-picture", action="store_true", help="withhold what is seen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K best codes")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw from probability mass P")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--guidance", type=float, metavar="G", help="lean towards the picture")
    parser.add_argument("--batch", type=int, default=8, help="samples drawn at once")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine")
    parser.add_argument("--vocoder", default="auto")
    parser.add_argument(
        "--visual", choices=("motion", "sight", "resnet50", "bn_inception", "noise", "none")
    )
    parser.add_argument("--precision", choices=("fp32", "bf16", "int8"), default="fp32")
    parser.add_argument(
        "--only-present", action="store_true", help="leave out listed clips that are gone"
    )


def _run_specvqgan(args: argparse.Namespace) -> "Card | None":
    from earsight.evaluate.specvqgan_table import evaluate_folders, evaluate_model

    judge = _judge(args)
    if judge is None:
        raise InputError("this table is what a judge says: give --judge a model")
    if (args.real is None) != (args.fake is None) or (args.real is None) == (args.data is None):
        raise InputError("give either --data (with --model), or both --real and --fake")
    if args.real is not None:
        return evaluate_folders(args.real, args.fake, args.output, judge)
    with _world(args) as world, _counting(args, world) as on_sample:
        job = _job(args)
        return evaluate_model(job, judge, workers=args.workers, world=world, on_sample=on_sample)


def _run_foley_room(args: argparse.Namespace) -> "Card | None":
    from earsight.evaluate.foley_table import evaluate_foley_room
    from earsight.generate.sound_class import open_sound_classifier

    judge = None
    if args.judge != NO_JUDGE:
        judge = open_sound_classifier(args.judge, device=args.device)
    with _world(args) as world, _counting(args, world) as on_sample:
        job = _job(args)
        return evaluate_foley_room(
            job, judge, workers=args.workers, world=world, on_sample=on_sample
        )


def _run_codebook(args: argparse.Namespace) -> "Card | None":
    from earsight.evaluate.codebook_table import evaluate_codebook

    return evaluate_codebook(
        args.data,
        args.model,
        args.output,
        _judge(args),
        split=args.split,
        limit=args.limit,
        device=args.device,
    )


RUNS: Mapping[str, Callable[[argparse.Namespace], "Card | None"]] = {
    "specvqgan": _run_specvqgan,
    "foley_room": _run_foley_room,
    "codebook": _run_codebook,
    "tagger": run_tagger,
    "folds": run_folds,
    "probe": run_probe,
}


def _judge(args: argparse.Namespace) -> "Judge | None":
    from earsight.evaluate.judge import open_judge

    return None if args.judge == NO_JUDGE else open_judge(args.judge, device=args.device)


def _job(args: argparse.Namespace) -> "GenerationJob":
    from earsight.evaluate.generation import GenerationSettings
    from earsight.evaluate.workers import GenerationJob
    from earsight.generate.logits import SamplingConfig

    asked = asked_sampling(args)
    sampling = SamplingConfig(**asked) if asked else None
    settings = GenerationSettings(
        split=args.split,
        num_samples=args.samples,
        num_candidates=args.rank,
        class_known=args.class_known,
        show_picture=not args.no_picture,
        seed=args.seed,
        sampling=sampling,
        limit=args.limit,
        batch=args.batch,
    )
    return GenerationJob(
        data=args.data,
        model=args.model,
        output=args.output,
        settings=settings,
        device=args.device,
        precision=args.precision,
        vocoder=args.vocoder,
        visual=args.visual,
        only_present=args.only_present,
    )


@contextmanager
def _world(args: argparse.Namespace) -> "Generator[World]":
    """The processes of torchrun, or this one alone."""
    from earsight.training.distributed import ALONE, join_world

    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    with join_world(args.device) as world:
        args.device = str(world.device)
        yield world


@contextmanager
def _counting(args: argparse.Namespace, world: "World") -> Generator[Callable[[int], None] | None]:
    if args.workers > 1 or not world.is_first:
        yield None
        return
    with progress("samples", total=None) as advance:
        yield lambda number: advance(number)


def _print(card: "Card", changes: "list[Difference] | None", args: argparse.Namespace) -> None:
    from earsight.evaluate.card import CARD_FILE, number, table
    from earsight.evaluate.report_page import PAGE_FILE
    from earsight.evaluate.tagger_published import COLUMNS, beside_published
    from earsight.settings import to_plain

    published = beside_published(card)

    for left in card.counts.skipped:
        tell(f"left out {left.name}: {left.reason}")
    if args.json:
        plain: dict[str, Any] = {"command": "evaluate", **to_plain(card)}
        if changes is not None:
            plain["against"] = [{**to_plain(c), "change": c.change} for c in changes]
        if published:
            plain["published"] = [dict(zip(COLUMNS, row, strict=True)) for row in published]
        print_json(plain)
        return
    print_table(*table(card))
    if published:
        print_table(COLUMNS, published)
    if changes is not None:
        print_table(
            ("score", "here", "there", "change", "better"),
            [
                (c.name, number(c.value), number(c.other), number(c.change), c.better)
                for c in changes
            ],
        )
    counts = card.counts
    print(
        f"evaluate: {counts.found} of {counts.expected} samples, {len(counts.skipped)} left out; "
        f"{args.output / CARD_FILE}, {args.output / PAGE_FILE}"
    )
