"""`earsight repair`: hide parts of a sound and let Audio-MAE restore them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Tally, print_table
from earsight.cli.sound_inputs import wanted_model
from earsight.errors import InputError
from earsight.files import refuse_existing

if TYPE_CHECKING:
    from earsight.generate.repair import Repairer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("input", type=Path, metavar="SOUND", help="sound or video")
    parser.add_argument(
        "--model", metavar="NAME_OR_FOLDER", help="a pre-trained Audio-MAE (default: bundled)"
    )
    parser.add_argument("--share", type=float, default=0.8, help="hidden share (default: 0.8)")
    parser.add_argument(
        "--kind", choices=("random", "time", "frequency", "both"), default="random",
        help="hide patches at random, or moments, bands, or both",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds (default: to the end)")
    parser.add_argument(
        "--from-spectrogram",
        action="store_true",
        help="make all of the sound from the spectrogram, also what was visible",
    )
    parser.add_argument(
        "--levels",
        choices=("predicted", "neighbours"),
        help="how loud hidden patches are: as predicted, or as visible ones around (default: "
        "what the model was trained for)",
    )
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder (default: out)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--overwrite", action="store_true", help="replace older outputs")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Write NAME.repaired.wav, a picture of what happened, and the error on what was hidden."""
    if not 0 < args.share < 1:
        raise InputError(f"--share must lie between 0 and 1, got {args.share}")
    model = wanted_model(args.model, names="'audiomae-pretrained'")
    if args.input.is_dir():
        raise InputError(f"{args.input} is a folder: give one sound")

    from earsight.generate.repair import load_repairer

    repairer = load_repairer(model, device=args.device, levels=args.levels)
    tally = Tally("repair", as_json=args.json)
    with tally.guarding(str(args.input)):
        told = _repair(repairer, args)
        tally.done(str(args.input), told)
        if not args.json:
            print_table(list(told), [list(told.values())])
    return tally.finish({"model": repairer.name, "weights_sha256": repairer.weights_sha256})


def _repair(repairer: "Repairer", args: argparse.Namespace) -> dict[str, Any]:
    from earsight.generate.repair_picture import draw_repair
    from earsight.media.provenance import Provenance, write_sidecar
    from earsight.media.wave_write import write_audio

    wave = args.output / f"{args.input.stem}.repaired.wav"
    picture = args.output / f"{args.input.stem}.repair.png"
    for path in (wave, picture, wave.with_name(wave.name + ".json")):
        refuse_existing(path, overwrite=args.overwrite)
    repaired = repairer.repair_file(
        args.input,
        seed=args.seed,
        share=args.share,
        kind=args.kind,
        start_seconds=args.start,
        duration_seconds=args.duration,
        keep_visible=not args.from_spectrogram,
    )
    draw_repair(repaired, picture, title=args.input.stem, overwrite=args.overwrite)
    error = {name: getattr(repaired, name) for name in ("error", "error_of_mean", "shape_error")}
    origin = Provenance(
        model=repairer.name,
        weights_sha256=repairer.weights_sha256,
        seed=args.seed,
        settings={
            "source": args.input.name,
            "job": "repair",
            "share": args.share,
            "kind": args.kind,
            "start": args.start,
            "from_spectrogram": args.from_spectrogram,
            "levels": repaired.levels,
        },
    )
    write_audio(wave, repaired.wave, provenance=origin, overwrite=args.overwrite)
    write_sidecar(wave, origin, error, overwrite=args.overwrite)
    return {
        "wave": str(wave),
        "picture": str(picture),
        "seconds": round(repaired.wave.seconds, 4),
        "hidden": round(repaired.hidden_share, 4),
        **{name: None if value is None else round(value, 5) for name, value in error.items()},
    }
