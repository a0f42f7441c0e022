"""`earsight embed`: sounds as vectors."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Advance, Tally, print_table, progress
from earsight.cli.sound_inputs import needed_model, sound_files
from earsight.errors import InputError
from earsight.files import refuse_existing, write_json

if TYPE_CHECKING:
    from earsight.generate.tagger import SoundTagger

INDEX = "embeddings.json"
NAMES = "'ast', 'htsat-audioset-1', 'audiomae-pretrained', 'passt'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="SOUND", help="sound, video, or folder of them"
    )
    parser.add_argument("--model", metavar="NAME_OR_FOLDER", help="AST, HTS-AT, Audio-MAE, ...")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder")
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
    """Write NAME.npy for every sound, and what they are to embeddings.json."""
    if args.batch < 1:
        raise InputError(f"--batch starts at 1, got {args.batch}")
    model = needed_model(args.model, names=NAMES)
    inputs = sound_files(args.inputs)
    refuse_existing(args.output / INDEX, overwrite=args.overwrite)

    from earsight.generate.tagger import load_tagger

    tagger = load_tagger(model, device=args.device)
    tagger.window_and_hop(args.window, args.hop)
    tally = Tally("embed", as_json=args.json)
    taken: dict[str, Path] = {}
    with progress("embed, seconds of sound", total=None) as advance:
        for path in inputs:
            with tally.guarding(str(path)):
                if path.stem in taken:
                    raise InputError(
                        f"its vectors would overwrite those of {taken[path.stem]}: rename one"
                    )
                taken[path.stem] = path
                tally.done(str(path), _embed(tagger, path, args, advance))
    origin = {"model": tagger.name, "weights_sha256": tagger.weights_sha256, "per": args.per}
    done = [item for item in tally.items if item.outcome == "done"]
    if done:
        listed = [{"sound": item.name, **item.details} for item in done]
        write_json(args.output / INDEX, {**origin, "items": listed}, overwrite=args.overwrite)
    if done and not args.json:
        rows = [[item.name, item.details["output"], item.details["shape"]] for item in done]
        print_table(["sound", "vectors", "shape"], rows)
    return tally.finish(origin)


def _embed(
    tagger: "SoundTagger", path: Path, args: argparse.Namespace, advance: Advance
) -> dict[str, Any]:
    from earsight.generate.tag_files import spans, write_array

    target = args.output / f"{path.stem}.npy"
    refuse_existing(target, overwrite=args.overwrite)
    heard = tagger.hear(
        path,
        window_seconds=args.window,
        hop_seconds=args.hop,
        batch=args.batch,
        on_seconds=advance,
    )
    values = heard.features if args.per == "window" else heard.whole_features
    write_array(target, values, overwrite=args.overwrite)
    told: dict[str, Any] = {
        "output": str(target),
        "shape": list(values.shape),
        "seconds": round(heard.seconds, 4),
        "silent": heard.silent,
    }
    if args.per == "window":
        told["spans"] = spans(heard)
    return told
