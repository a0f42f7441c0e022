"""`earsight sound`: video or picture to sound."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Tally, progress
from earsight.cli.sampling_options import asked_sampling
from earsight.errors import InputError

if TYPE_CHECKING:
    from earsight.generate.sound_files import SoundFiles, SourceOptions
    from earsight.generate.video_to_sound import SoundRequest, VideoToSound

MEDIA_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp"),
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        type=Path,
        help="video, picture, folder of them, or a text file (.txt) with one path per line",
    )
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder (default: out)")
    parser.add_argument("--model", default="bundled", help="name, folder or hub id@revision")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--duration", type=float, metavar="S", help="seconds (default: all)")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="sounds per input")
    parser.add_argument(
        "--rank",
        type=int,
        default=None,
        metavar="N",
        help="keep the best of N candidates (bundled model: 4)",
    )
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="what is heard")
    parser.add_argument("--prime", type=Path, metavar="AUDIO", help="begin with this sound")
    parser.add_argument(
        "--keep", metavar="START:END", help="keep these seconds of the input's own sound"
    )
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K best codes")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw from probability mass P")
    parser.add_argument(
        "--temperature", type=float, help="default, with top-p: what suits the model, else 1"
    )
    parser.add_argument(
        "--guidance", type=float, metavar="G", help="lean towards the picture (1: as trained)"
    )
    parser.add_argument("--greedy", action="store_true", help="always the most probable code")
    parser.add_argument(
        "--vocoder", default="auto", help="auto, griffin-lim, or a model's name or folder"
    )
    parser.add_argument(
        "--visual",
        choices=("motion", "resnet50", "bn_inception", "noise", "none"),
        help="picture features, where the model's folder does not say",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16", "int8"), default="fp32")
    parser.add_argument("--spectrogram", action="store_true", help="also draw each sound (.png)")
    parser.add_argument("--attention", action="store_true", help="also draw attention (.png)")
    parser.add_argument("--overwrite", action="store_true", help="replace older outputs")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Make sound for every input; a broken one is named and does not stop the others."""
    inputs = list(expand(args.inputs))
    request, options = _request(args), _options(args)

    from earsight.generate.load import load_pipeline

    model = load_pipeline(
        args.model,
        device=args.device,
        precision=args.precision,
        vocoder=args.vocoder,
        visual=args.visual,
    )
    model.class_index(request.class_name)
    if not args.greedy and not asked_sampling(args):
        request = replace(request, sampling=model.default_sampling)
    tally = Tally("sound", as_json=args.json)
    taken: dict[str, Path] = {}
    for path in inputs:
        with tally.guarding(str(path)):
            if path.stem in taken:
                raise InputError(
                    f"its output would overwrite that of {taken[path.stem]}: rename one, or write "
                    "them to different folders"
                )
            taken[path.stem] = path
            files = _render(model, path, args, request, options)
            details = [_described(file) for file in files]
            tally.done(str(path), {"outputs": details})
            if not args.json:
                for file in files:
                    print(f"{file.video or file.wave}  {file.seconds:.2f} s, {_levels(file)}")
    return tally.finish({"model": model.name, "weights_sha256": model.weights_sha256})


def expand(inputs: list[Path]) -> Iterator[Path]:
    """Files named directly, inside folders (sorted), or line by line in text files.

    Raises InputError for a folder without media or a list that cannot be read.
    """
    for path in inputs:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in MEDIA_SUFFIXES)
            if not found:
                raise InputError(f"{path} holds no video or picture: give files or another folder")
            yield from found
        elif path.suffix.lower() == ".txt" and path.is_file():
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except UnicodeDecodeError as error:
                raise InputError(f"{path} is not a text file with one path per line") from error
            yield from (path.parent / line.strip() for line in lines if line.strip())
        else:
            yield path


def _render(
    model: "VideoToSound",
    path: Path,
    args: argparse.Namespace,
    request: "SoundRequest",
    options: "SourceOptions",
) -> "list[SoundFiles]":
    from earsight.generate.sound_files import render

    with progress(f"sound for {path.name}", total=None) as advance:
        done = 0

        def on_code(count: int) -> None:
            nonlocal done
            advance(max(0, count - done))
            done = max(done, count)

        files = render(
            model,
            path,
            args.output,
            request,
            options,
            overwrite=args.overwrite,
            on_code=on_code,
        )
    if args.spectrogram or args.attention:
        _draw(model, path, files, args, request, options)
    return files


def _draw(
    model: "VideoToSound",
    path: Path,
    files: "list[SoundFiles]",
    args: argparse.Namespace,
    request: "SoundRequest",
    options: "SourceOptions",
) -> None:
    from earsight.generate.pictures import draw_maps, draw_sound
    from earsight.generate.sound_files import open_input, with_given_sound

    visual = open_input(path, options)
    for file in files:
        if args.spectrogram:
            draw_sound(
                file.wave,
                file.wave.with_suffix(".png"),
                motion=visual.motion(),
                overwrite=args.overwrite,
            )
    if args.attention:
        maps = model.attention(
            visual, with_given_sound(model, path, request, options), files[0].codes
        )
        target = files[0].wave.with_name(f"{files[0].wave.stem}_attention.png")
        draw_maps(maps, model.engine.config.num_condition, target, overwrite=args.overwrite)


def _request(args: argparse.Namespace) -> "SoundRequest":
    from earsight.generate.logits import SamplingConfig
    from earsight.generate.video_to_sound import SoundRequest

    sampling = SamplingConfig(**asked_sampling(args), greedy=args.greedy)
    candidates = args.rank
    if candidates is None:
        # the small model's drafts differ much: the best of a few is worth the wait
        candidates = 4 if args.model == "bundled" else 1
    return SoundRequest(
        seed=args.seed,
        num_samples=args.samples,
        num_candidates=candidates,
        class_name=args.class_name,
        sampling=sampling,
    )


def _options(args: argparse.Namespace) -> "SourceOptions":
    from earsight.generate.sound_files import SourceOptions

    keep: tuple[float, float] | None = None
    if args.keep is not None:
        start, _, end = args.keep.partition(":")
        try:
            keep = (float(start), float(end))
        except ValueError:
            raise InputError(f"--keep is START:END in seconds, got '{args.keep}'") from None
    return SourceOptions(duration_seconds=args.duration, prime=args.prime, keep_seconds=keep)


def _levels(file: "SoundFiles") -> str:
    score = "" if file.score is None else f", follows the motion {file.score:.2f}"
    return f"{file.loudness_db:.1f} dBFS, peak {file.peak:.2f}{score}"


def _described(file: "SoundFiles") -> dict[str, Any]:
    return {
        "wave": str(file.wave),
        "video": None if file.video is None else str(file.video),
        "seconds": round(file.seconds, 6),
        "peak": round(file.peak, 6),
        "loudness_db": round(file.loudness_db, 3),
        "score": file.score,
    }
