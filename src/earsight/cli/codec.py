"""`earsight codec`: sound to a code file and back."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Tally, print_table, progress

if TYPE_CHECKING:
    from earsight.generate.codec import Codec

CODE_SUFFIX = ".esc"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="encode|decode|measure")
    for name, text in (
        ("encode", "sound to code files (.esc)"),
        ("decode", "code files to sound (.wav)"),
        ("measure", "bit rate and spectral error of coding, beside Griffin-Lim's"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
        action.add_argument("--model", default="bundled", help="name, folder or hub id@revision")
        action.add_argument("--vocoder", default="auto", help="auto, griffin-lim, name or folder")
        action.add_argument("--device", default="cpu")
        action.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
        action.add_argument("--json", action="store_true", help="one JSON object on stdout")
        if name != "measure":
            action.add_argument("--output", type=Path, default=Path("out"), help="folder")
            action.add_argument("--overwrite", action="store_true", help="replace older outputs")


def run(args: argparse.Namespace) -> int:
    """Code, decode or measure every input; a broken one does not stop the others."""
    from earsight.generate.load import load_codec

    codec = load_codec(
        args.model, device=args.device, precision=args.precision, vocoder=args.vocoder
    )
    actions = {"encode": _encode, "decode": _decode, "measure": _measure}
    tally = Tally(f"codec {args.action}", as_json=args.json)
    with progress(f"codec {args.action}", total=len(args.inputs)) as advance:
        for path in args.inputs:
            with tally.guarding(str(path)):
                tally.done(str(path), actions[args.action](codec, path, args))
            advance(1)
    if not args.json:
        _print(args.action, tally)
    return tally.finish(_means(tally) if args.action == "measure" else None)


def _encode(codec: "Codec", path: Path, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.generate.codec import write_coded

    coded = codec.encode(_read(path))
    target = args.output / f"{path.stem}{CODE_SUFFIX}"
    size = write_coded(target, coded, overwrite=args.overwrite)
    return {
        "output": str(target),
        "seconds": round(coded.seconds, 4),
        "codes": coded.codes.shape[0],
        "bytes": size,
        "kbps_codes": round(coded.payload_bits_per_second / 1000, 4),
        "kbps_file": round(size * 8 / coded.seconds / 1000, 4),
    }


def _decode(codec: "Codec", path: Path, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.generate.codec import read_coded
    from earsight.media.provenance import Provenance
    from earsight.media.wave_write import write_audio

    coded = read_coded(path)
    target = args.output / f"{path.stem}.wav"
    origin = Provenance(
        model=codec.name,
        weights_sha256=codec.weights_sha256,
        seed=None,
        settings={"source": path.name, "job": "codec"},
    )
    write_audio(target, codec.stream(coded), provenance=origin, overwrite=args.overwrite)
    return {"output": str(target), "seconds": round(coded.seconds, 4)}


def _measure(codec: "Codec", path: Path, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.generate.codec_quality import measure

    del args
    return measure(codec, _read(path))


def _read(path: Path) -> Any:
    from earsight.frontends.specvqgan_mel import MEL_RATE_HZ
    from earsight.media.audio import read_audio

    return read_audio(path, rate_hz=MEL_RATE_HZ, mono=True)


def _means(tally: Tally) -> dict[str, float]:
    """Mean of every number over the inputs that were measured."""
    done = [item.details for item in tally.items if item.outcome == "done"]
    names = list(done[0]) if done else []
    return {f"mean_{name}": round(sum(d[name] for d in done) / len(done), 5) for name in names}


def _print(action: str, tally: Tally) -> None:
    done = [item for item in tally.items if item.outcome == "done"]
    if done:
        names = list(done[0].details)
        rows = [[item.name, *(item.details[name] for name in names)] for item in done]
        if action == "measure" and len(done) > 1:
            rows.append(["mean", *_means(tally).values()])
        print_table(["input", *names], rows)
