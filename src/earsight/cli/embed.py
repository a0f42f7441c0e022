"""`earsight embed`: sounds as vectors."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Advance, Tally, print_table, progress
from earsight.cli.sound_inputs import SoundInput, sound_files, wanted_model
from earsight.errors import InputError
from earsight.files import refuse_existing, write_json

if TYPE_CHECKING:
    from earsight.generate.embedding_files import SoundVectors
    from earsight.generate.tagger import SoundTagger

INDEX = "embeddings.json"
NAMES = "'ast', 'htsat-audioset-1', 'audiomae-pretrained', 'passt'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="SOUND", help="sound, video, or folder of them"
    )
    parser.add_argument(
        "--model", metavar="NAME_OR_FOLDER", help="AST, Audio-MAE, ... (default: bundled)"
    )
    parser.add_argument("--part", metavar="NAME", help="of a model of several networks, which one")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="PATH",
        help="folder for a NAME.npy each, or one table: FILE.npy, FILE.parquet",
    )
    parser.add_argument(
        "--per", choices=("clip", "window"), default="clip", help="one vector, or one a window"
    )
    parser.add_argument("--window", type=float, metavar="S", help="seconds (default: the model's)")
    parser.add_argument("--hop", type=float, metavar="S", help="seconds (default: the window)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="windows at once")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--overwrite", action="store_true", help="replace older outputs")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Write vectors of every sound, and what they are into a JSON file."""
    if args.batch < 1:
        raise InputError(f"--batch starts at 1, got {args.batch}")
    model = wanted_model(args.model, names=NAMES)
    inputs = sound_files(args.inputs)

    from earsight.generate.embedding_files import (
        TABLE_SUFFIXES,
        arrow_modules,
        beside,
        write_table,
    )
    from earsight.generate.tagger import load_tagger

    as_table = args.output.suffix in TABLE_SUFFIXES
    if args.output.suffix == ".parquet":
        arrow_modules()  # missing ones are named before the work
    for path in (args.output, beside(args.output)) if as_table else (args.output / INDEX,):
        refuse_existing(path, overwrite=args.overwrite)
    tagger = load_tagger(model, device=args.device, part=args.part)
    tagger.window_and_hop(args.window, args.hop)
    origin = {"model": tagger.name, "weights_sha256": tagger.weights_sha256, "per": args.per}
    tally = Tally("embed", as_json=args.json)
    rows: list[SoundVectors] = []
    try:
        with progress("embed, seconds of sound", total=None) as advance:
            for sound in inputs:
                with tally.guarding(str(sound.path)):
                    vectors, told = _embed(tagger, sound, args, advance)
                    told |= _keep(vectors, sound, rows, args, as_table=as_table)
                    tally.done(str(sound.path), told)
    finally:  # an interrupted run keeps what it has
        done = [item for item in tally.items if item.outcome == "done"]
        if done and as_table:
            write_table(args.output, rows, origin=origin, overwrite=args.overwrite)
        elif done:
            listed = [{"sound": item.name, **item.details} for item in done]
            index = {**origin, "items": listed}
            write_json(args.output / INDEX, index, overwrite=args.overwrite)
    if done and not args.json:
        table = [[item.name, item.details["output"], item.details["shape"]] for item in done]
        print_table(["sound", "vectors", "shape"], table)
    return tally.finish(origin)


def _embed(
    tagger: "SoundTagger", sound: SoundInput, args: argparse.Namespace, advance: Advance
) -> tuple["SoundVectors", dict[str, Any]]:
    from earsight.generate.embedding_files import TABLE_SUFFIXES, sound_vectors

    if args.output.suffix not in TABLE_SUFFIXES:
        refuse_existing(sound.beside(args.output, ".npy"), overwrite=args.overwrite)
    heard = tagger.hear(
        sound.path,
        window_seconds=args.window,
        hop_seconds=args.hop,
        batch=args.batch,
        on_seconds=advance,
    )
    vectors = sound_vectors(str(sound.path), heard, per=args.per)
    told: dict[str, Any] = {"seconds": round(heard.seconds, 4), "silent": heard.silent}
    if args.per == "window":
        told["spans"] = vectors.spans
    return vectors, told


def _keep(
    found: "SoundVectors",
    sound: SoundInput,
    rows: "list[SoundVectors]",
    args: argparse.Namespace,
    *,
    as_table: bool,
) -> dict[str, Any]:
    """Write a sound's own file, or keep its rows for the table; says where they are."""
    from earsight.generate.embedding_files import write_array

    if as_table:
        first = sum(len(item.vectors) for item in rows)
        rows.append(found)
        shape = list(found.vectors.shape)
        return {"output": str(args.output), "shape": shape, "first_row": first}
    target = sound.beside(args.output, ".npy")
    values = found.vectors if args.per == "window" else found.vectors[0]
    write_array(target, values, overwrite=args.overwrite)
    return {"output": str(target), "shape": list(values.shape)}
