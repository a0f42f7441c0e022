"""`earsight prepare`: a corpus on disk to spectrograms, sounds, picture features and codes."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Advance, Tally, print_table, progress, tell
from earsight.errors import InputError

if TYPE_CHECKING:
    from earsight.data.foley_room.world import FoleyRoomSettings
    from earsight.data.source_clips import Source
    from earsight.prepare.corpus import Preparation, Watch
    from earsight.prepare.extract import Outcome

FOLEY_ROOM = "foley-room"
DIFFICULTIES = ("off-screen", "distractor", "late-entry", "two-sources", "noise")
NO_FEATURES = "none"
LISTED = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "corpus",
        metavar="CORPUS",
        help="folder of videos or sounds (sub-folders are labels), table (.csv with path, label, "
        "split, fold, start, end), ESC-10, ESC-50, FSDD, Speech Commands, VoxCeleb, AudioSet, "
        f"VGGSound, VAS, a rendered folder; or {FOLEY_ROOM} to render clips first",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--label",
        metavar="WHAT",
        help="what the classes are: digit or speaker (FSDD), words or commands (Speech Commands), "
        "esc50 or its part esc10",
    )
    parser.add_argument(
        "--features",
        default="motion",
        metavar="KINDS",
        help=f"motion, resnet50, bn_inception, sight, by commas; or {NO_FEATURES}",
    )
    parser.add_argument(
        "--codes", metavar="MODEL", help="also code sounds by this model's codebook"
    )
    parser.add_argument("--sight", metavar="MODEL", help="model whose image tower makes 'sight'")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    parser.add_argument(
        "--engine", choices=("local",), default="local", help="where work is done (this machine)"
    )
    parser.add_argument("--shards", action="store_true", help="also write DIR/shards (tar)")
    parser.add_argument("--limit", type=int, metavar="N", help="prepare N clips only")
    splits = parser.add_argument_group("splits, where the corpus names none")
    splits.add_argument("--valid", type=float, default=0.1, metavar="SHARE")
    splits.add_argument("--test", type=float, default=0.1, metavar="SHARE")
    splits.add_argument("--split-seed", type=int, default=0, metavar="S")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    _configure_rendering(parser)


def _configure_rendering(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(f"rendering ({FOLEY_ROOM})")
    group.add_argument("--clips", type=int, metavar="N", help="clips to render")
    group.add_argument(
        "--test-clips", type=int, metavar="N", help="test clips (default: a tenth of --clips)"
    )
    group.add_argument("--seed", type=int, metavar="S", help="seed of the world (default: 0)")
    group.add_argument(
        "--bank", type=Path, metavar="FOLDER", help="play these labelled recordings instead"
    )
    group.add_argument("--seconds", type=float, metavar="S", help="length of a clip (default: 4)")
    group.add_argument("--fps", type=float, metavar="F", help="pictures a second (default: 21.5)")
    group.add_argument("--size", type=int, metavar="N", help="side in pixels (default: 112)")
    for name in DIFFICULTIES:
        text = "share of the clips with this difficulty (default: 0)"
        group.add_argument(f"--{name}", type=float, metavar="SHARE", help=text)


def run(args: argparse.Namespace) -> int:
    """Render where asked, then prepare; a clip that cannot be used is named and left out."""
    tally = Tally("prepare", as_json=args.json)
    corpus = args.corpus
    if corpus == FOLEY_ROOM:
        corpus = _render(args, tally)
    else:
        _refuse_rendering(args)
    from earsight.data.find_source import find_source
    from earsight.data.source_clips import SplitRule
    from earsight.prepare.corpus import prepare_corpus

    rule = SplitRule(valid=args.valid, test=args.test, seed=args.split_seed)
    source = find_source(corpus, rule, label=args.label)
    total = min(len(source.clips), args.limit or len(source.clips))
    kinds = [kind.strip() for kind in args.features.split(",") if kind.strip()]
    with progress("prepare", total=total) as advance:
        done = prepare_corpus(
            source,
            args.output,
            features=[] if kinds == [NO_FEATURES] else kinds,
            codes=args.codes,
            sight=args.sight,
            workers=args.workers,
            limit=args.limit,
            watch=_watch(tally, advance),
        )
    shards = _shards(args.output) if args.shards else []
    if not args.json:
        _print(done, source, shards)
    return tally.finish(_told(done, shards))


def _watch(tally: Tally, advance: Advance) -> "Watch":
    from earsight.prepare.extract import Skipped

    def watch(outcome: "Outcome") -> None:
        if isinstance(outcome, Skipped):
            tally.skipped(outcome.id, outcome.reason)
        else:
            tally.done(outcome.id, {"seconds": round(outcome.seconds, 4)})
        advance(1)

    return watch


def _shards(folder: Path) -> list[Path]:
    from earsight.data.prepared import PreparedCorpus
    from earsight.data.shard_writer import write_shards

    return write_shards(PreparedCorpus(folder), folder / "shards")


def _told(done: "Preparation", shards: Sequence[Path]) -> dict[str, Any]:
    """What the JSON says beside the clips."""
    return {
        "output": str(done.folder),
        "corpus": done.name,
        "rule": done.rule,
        "made": done.num_made,
        "kept": done.num_kept,
        "absent": len(done.absent),
        "shards": [str(path) for path in shards],
        "statistics": dict(done.drift.values),
    }


def _print(done: "Preparation", source: "Source", shards: Sequence[Path]) -> None:
    rows = [[r.quantity, r.found, r.published, r.warning] for r in done.drift.rows]
    print_table(["quantity", "found", "published", "warning"], rows)
    print(f"{source.name}: {source.rule}")
    if done.absent:
        print(f"{len(done.absent)} listed clips are not here: {_few(done.absent)}")
    print(f"{done.folder}  {done.num_made} made, {done.num_kept} kept")
    if shards:
        print(f"{shards[0].parent}  {len(shards)} shards")


def _few(names: Sequence[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _refuse_rendering(args: argparse.Namespace) -> None:
    named = ("clips", "test_clips", "seed", "bank", "seconds", "fps", "size", *_fields())
    given = [name for name in named if getattr(args, name) is not None]
    if given:
        raise InputError(
            f"--{given[0].replace('_', '-')} is about rendering: it goes with 'earsight prepare "
            f"{FOLEY_ROOM}', not with the corpus {args.corpus}"
        )


def _render(args: argparse.Namespace, tally: Tally) -> Path:
    """Render clips into the output folder, or go on with them."""
    if args.clips is None:
        raise InputError(f"'earsight prepare {FOLEY_ROOM}' needs --clips N")
    from earsight.prepare.foley_room import render_foley_room, split_counts

    settings = _settings(args)
    bank = None
    if args.bank is not None:
        from earsight.data.foley_room.sound_bank import bank_of_folder

        bank = bank_of_folder(args.bank, settings.rate_hz)
    clips = render_foley_room(
        args.output,
        num_clips=args.clips,
        num_test=args.test_clips,
        seed=args.seed or 0,
        settings=settings,
        bank=bank,
        workers=args.workers,
        resume=True,
    )
    total = sum(split_counts(args.clips, num_test=args.test_clips).values())
    with progress("render", total=total) as advance:
        for clip in clips:
            if clip.outcome == "failed":
                tally.failed(clip.id, f"not rendered: {clip.reason}")
            advance(1)
    tell(f"rendered into {args.output}")
    return args.output


def _settings(args: argparse.Namespace) -> "FoleyRoomSettings":
    from dataclasses import replace

    from earsight.data.foley_room.difficulties import DifficultyShares
    from earsight.data.foley_room.world import FoleyRoomSettings

    plain = FoleyRoomSettings()
    chosen = {"clip_seconds": args.seconds, "fps": args.fps, "width": args.size}
    chosen["height"] = args.size
    picture = replace(plain.picture, **{k: v for k, v in chosen.items() if v is not None})
    shares = {name: getattr(args, name) for name in _fields()}
    shares = {name: share for name, share in shares.items() if share is not None}
    return replace(plain, picture=picture, difficulties=DifficultyShares(**shares))


def _fields() -> list[str]:
    return [name.replace("-", "_") for name in DIFFICULTIES]
