"""`earsight tag`: what is heard in sounds, and when."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Advance, Tally, print_table, progress
from earsight.cli.sound_inputs import needed_model, sound_files
from earsight.errors import InputError
from earsight.files import refuse_existing

if TYPE_CHECKING:
    from earsight.generate.tagger import SoundTagger

TIMELINE_SUFFIX = ".timeline.csv"
NAMES = "'ast', 'htsat-audioset-1', 'audiomae-audioset', 'passt'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="SOUND", help="sound, video, or folder of them"
    )
    parser.add_argument("--model", metavar="NAME_OR_FOLDER", help="AST, SSAST, HTS-AT, ...")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="tags a sound (default: 5)")
    parser.add_argument("--window", type=float, metavar="S", help="seconds (default: the model's)")
    parser.add_argument("--hop", type=float, metavar="S", help="seconds (default: the window)")
    parser.add_argument("--windows", action="store_true", help="also tag every window")
    parser.add_argument(
        "--timeline",
        type=Path,
        metavar="DIR",
        help="write NAME.timeline.csv: best classes over time (HTS-AT: at every step)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all tags")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="windows at once")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--overwrite", action="store_true", help="replace older outputs")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Tag every sound; a broken one is named and does not stop the others."""
    if args.top < 1 or args.batch < 1:
        raise InputError(f"--top and --batch start at 1, got {args.top} and {args.batch}")
    model = needed_model(args.model, names=NAMES)
    inputs = sound_files(args.inputs)
    if args.csv is not None:
        refuse_existing(args.csv, overwrite=args.overwrite)

    from earsight.generate.tag_files import write_tags
    from earsight.generate.tagger import load_tagger

    tagger = load_tagger(model, device=args.device)
    if not tagger.listener.num_classes:
        raise InputError(
            f"{tagger.name} was pre-trained only and knows no classes: use a fine-tuned network, "
            "or 'earsight embed'"
        )
    tagger.window_and_hop(args.window, args.hop)
    tally = Tally("tag", as_json=args.json)
    taken: dict[str, Path] = {}
    with progress("tag, seconds of sound", total=None) as advance:
        for path in inputs:
            with tally.guarding(str(path)):
                tally.done(str(path), _tag(tagger, path, args, taken, advance))
    done = [(item.name, dict(item.details)) for item in tally.items if item.outcome == "done"]
    if args.csv is not None:
        write_tags(args.csv, done, overwrite=args.overwrite)
    if not args.json:
        _print(done, named=bool(tagger.class_names))
    return tally.finish(
        {
            "model": tagger.name,
            "weights_sha256": tagger.weights_sha256,
            "has_class_names": bool(tagger.class_names),
        }
    )


def _tag(
    tagger: "SoundTagger",
    path: Path,
    args: argparse.Namespace,
    taken: dict[str, Path],
    advance: Advance,
) -> dict[str, Any]:
    from earsight.generate.tag_files import described, write_timeline

    folder: Path | None = args.timeline
    timeline = None if folder is None else folder / f"{path.stem}{TIMELINE_SUFFIX}"
    if timeline is not None:
        if path.stem in taken:
            raise InputError(f"its timeline would overwrite that of {taken[path.stem]}: rename one")
        taken[path.stem] = path
        refuse_existing(timeline, overwrite=args.overwrite)
    heard = tagger.hear(
        path,
        window_seconds=args.window,
        hop_seconds=args.hop,
        batch=args.batch,
        with_steps=timeline is not None,
        on_seconds=advance,
    )
    told = described(tagger, heard, top=args.top, windows=args.windows)
    if timeline is not None:
        write_timeline(timeline, tagger, heard, top=args.top, overwrite=args.overwrite)
        told["timeline"] = str(timeline)
    return told


def _print(done: list[tuple[str, dict[str, Any]]], *, named: bool) -> None:
    rows: list[list[object]] = []
    for name, told in done:
        whole: dict[str, Any] = {"start": 0.0, "end": told["seconds"], "tags": told["tags"]}
        for span in [whole, *told.get("windows", [])]:
            best = ", ".join(
                f"{tag['name'] or 'class ' + str(tag['index'])} {tag['probability']:.3f}"
                for tag in span["tags"]
            )
            silent = "silent; " if told["silent"] else ""
            rows.append([name, f"{span['start']:.2f}-{span['end']:.2f}", silent + best])
    if rows:
        print_table(["sound", "seconds", "tags"], rows)
        if not named:
            print("the model's folder tells no class names: classes are numbers, from 0")
