"""`earsight tag`: what is heard in sounds, and when."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Advance, Tally, print_table, progress
from earsight.cli.sound_inputs import SoundInput, sound_files, wanted_model
from earsight.errors import InputError
from earsight.extras import require
from earsight.files import refuse_existing

if TYPE_CHECKING:
    from earsight.generate.tagger import SoundTagger

PICTURE_SUFFIXES = (".png", ".pdf", ".svg", ".jpg")
NAMES = "'ast', 'htsat-audioset-1', 'audiomae-audioset', 'passt'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="SOUND", help="sound, video, or folder of them"
    )
    parser.add_argument(
        "--model", metavar="NAME_OR_FOLDER", help="AST, HTS-AT, ... (default: bundled)"
    )
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
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PATH",
        help="draw spectrogram and timeline: NAME.tags.png in this folder, or this .png",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all tags")
    parser.add_argument(
        "--class-names",
        type=Path,
        metavar="FILE",
        help="names of the classes: .txt (a line each), .csv (display_name), .json",
    )
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="windows at once")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--overwrite", action="store_true", help="replace older outputs")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Tag every sound; a broken one is named and does not stop the others."""
    if args.top < 1 or args.batch < 1:
        raise InputError(f"--top and --batch start at 1, got {args.top} and {args.batch}")
    model = wanted_model(args.model, names=NAMES)
    inputs = sound_files(args.inputs)
    if _is_file(args.picture) and len(inputs) > 1:
        raise InputError(
            f"--picture {args.picture} is one file for {len(inputs)} sounds: name a folder"
        )
    if args.csv is not None:
        refuse_existing(args.csv, overwrite=args.overwrite)
    if args.picture is not None:
        require("matplotlib", extra="plots", purpose="--picture")

    from earsight.data.class_lists import read_names
    from earsight.generate.tag_files import write_tags
    from earsight.generate.tagger import load_tagger

    names = None if args.class_names is None else read_names(args.class_names)
    tagger = load_tagger(model, device=args.device, class_names=names)
    if not tagger.listener.num_classes:
        raise InputError(
            f"{tagger.name} was pre-trained only and knows no classes: use a fine-tuned network, "
            "or 'earsight embed'"
        )
    tagger.window_and_hop(args.window, args.hop)
    tally = Tally("tag", as_json=args.json)
    try:
        with progress("tag, seconds of sound", total=None) as advance:
            for sound in inputs:
                with tally.guarding(str(sound.path)):
                    tally.done(str(sound.path), _tag(tagger, sound, args, advance))
    finally:  # an interrupted run keeps what it has
        done = _finished(tally)
        if args.csv is not None and done:
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
    tagger: "SoundTagger", sound: SoundInput, args: argparse.Namespace, advance: Advance
) -> dict[str, Any]:
    from earsight.generate.tag_files import described
    from earsight.generate.timeline import draw_timeline, timeline_of, write_timeline

    targets: dict[str, Path] = {}
    if args.timeline is not None:
        targets["timeline"] = sound.beside(args.timeline, ".timeline.csv")
    if args.picture is not None:
        whole = _is_file(args.picture)
        targets["picture"] = args.picture if whole else sound.beside(args.picture, ".tags.png")
    for target in targets.values():
        refuse_existing(target, overwrite=args.overwrite)
    heard = tagger.hear(
        sound.path,
        window_seconds=args.window,
        hop_seconds=args.hop,
        batch=args.batch,
        with_steps=bool(targets),
        on_seconds=advance,
    )
    told = described(tagger, heard, top=args.top, windows=args.windows)
    if targets:
        line = timeline_of(tagger, heard, top=args.top)
        if "timeline" in targets:
            write_timeline(targets["timeline"], line, overwrite=args.overwrite)
        if "picture" in targets:
            title = f"{sound.path.name}   ({tagger.name})"
            draw_timeline(
                targets["picture"], sound.path, line, title=title, overwrite=args.overwrite
            )
    return told | {kind: str(target) for kind, target in targets.items()}


def _is_file(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() in PICTURE_SUFFIXES


def _finished(tally: Tally) -> list[tuple[str, dict[str, Any]]]:
    return [(item.name, dict(item.details)) for item in tally.items if item.outcome == "done"]


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
            print(
                "no class names are known: classes are numbers, from 0 (--class-names FILE tells)"
            )
