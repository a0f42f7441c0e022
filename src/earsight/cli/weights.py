"""`earsight weights`: list, fetch, convert, verify and report published weights."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import Tally, print_json, print_table, progress, tell

if TYPE_CHECKING:
    from earsight.checkpoints.convert import FittedPart
    from earsight.checkpoints.published import PublishedWeights

SOURCE_HELP = "name from the list, or a file or archive"
ACTIONS = (
    ("list", "what is published, with licence, origin and hash"),
    ("fetch", "download into the cache, resuming what is there; the hash is checked"),
    ("convert", "published file or archive to a folder with config, safetensors and card"),
    ("verify", "hash, safe reading and strict fit of a file; or the hashes of a converted folder"),
    ("report", "what becomes of every entry of a file"),
    ("join", "put networks trained one by one into one model folder"),
)
MAKERS = ("codebook", "transformer", "vocoder", "sight", "judge", "ranker")
HEARERS = ("tagger", "masked")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list|fetch|convert|verify|report|join"
    )
    for name, text in ACTIONS:
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--json", action="store_true", help="one JSON object on stdout")
        action.add_argument(
            "--commercial",
            action="store_true",
            help="refuse weights that are not known to allow commercial use",
        )
        if name == "list":
            continue
        if name == "join":
            _configure_join(action)
            continue
        kind = "NAME" if name == "fetch" else "SOURCE"
        wanted = "name from the list" if name == "fetch" else SOURCE_HELP
        action.add_argument("sources", nargs="+", metavar=kind, help=wanted)
        if name != "fetch":
            action.add_argument(
                "--as",
                dest="named",
                metavar="NAME",
                help="treat the file as these weights; without it, its hash tells",
            )
        if name == "convert":
            action.add_argument(
                "--output", type=Path, help="folder to write, for one source (default: cache)"
            )
            action.add_argument("--half", action="store_true", help="store float16")
            action.add_argument("--overwrite", action="store_true", help="replace an older folder")


def _configure_join(action: argparse.ArgumentParser) -> None:
    for part in MAKERS + HEARERS:
        action.add_argument(f"--{part}", type=Path, metavar="DIR", help=f"folder of the {part}")
    action.add_argument("--output", type=Path, required=True, help="folder to write")
    action.add_argument("--card", type=Path, metavar="FILE", help="text that describes the model")
    action.add_argument("--temperature", type=float, default=1.0, help="default of the model")
    action.add_argument("--top-k", type=int, metavar="N", help="default of the model")
    action.add_argument("--top-p", type=float, metavar="SHARE", help="default of the model")
    action.add_argument("--guidance", type=float, default=1.0, help="default of the model")
    action.add_argument(
        "--prefer-griffin-lim", action="store_true", help="use the vocoder on request only"
    )
    action.add_argument("--half", action="store_true", help="store float16 (tagger and masked)")
    action.add_argument("--overwrite", action="store_true", help="replace an older folder")


def run(args: argparse.Namespace) -> int:
    """Do one action for every source; a failing one does not stop the others."""
    from earsight.errors import InputError

    if args.action == "list":
        return _list(args)
    if args.action == "join":
        return _join(args)
    if args.action == "convert" and args.output is not None and len(args.sources) > 1:
        raise InputError("--output names one folder: give one source, or leave it out")
    tally = Tally(f"weights {args.action}", as_json=args.json)
    actions = {"fetch": _fetch, "convert": _convert, "verify": _verify, "report": _report}
    for source in args.sources:
        with tally.guarding(source):
            tally.done(source, actions[args.action](source, args))
    if not args.json and args.action != "report":
        _print(tally)
    return tally.finish()


def _list(args: argparse.Namespace) -> int:
    from earsight.models.catalogue import CATALOGUE, converted_path, fetched_path

    records = [record for record in CATALOGUE.values() if record.commercial or not args.commercial]
    if args.json:
        print_json({"command": "weights list", "weights": [_described(r) for r in records]})
        return 0
    rows = [
        [
            record.name,
            record.family,
            "yes" if record.commercial else "not known",
            ("converted" if converted_path(record).is_dir() else "")
            or ("fetched" if fetched_path(record).is_file() else "")
            or "-",
            record.summary,
        ]
        for record in records
    ]
    print_table(["name", "family", "commercial use", "here", "what"], rows)
    print(f"{len(records)} of {len(CATALOGUE)}; --json adds licence, origin, hash and notes")
    return 0


def _join(args: argparse.Namespace) -> int:
    from earsight.errors import InputError
    from earsight.generate.joining import join_listeners, join_models
    from earsight.generate.logits import SamplingConfig

    given = {
        part: getattr(args, part) for part in MAKERS + HEARERS if getattr(args, part) is not None
    }
    hears = any(part in given for part in HEARERS)
    if hears and any(part in given for part in MAKERS):
        raise InputError("networks that hear and networks that make sound are two folders")
    if args.half and not hears:
        raise InputError("--half is for --tagger and --masked: other parts are copied as they are")
    card = "" if args.card is None else args.card.read_text(encoding="utf-8")
    tally = Tally("weights join", as_json=args.json)
    with tally.guarding(str(args.output)):
        if hears:
            join_listeners(args.output, given, card=card, half=args.half, overwrite=args.overwrite)
        else:
            sampling = SamplingConfig(
                temperature=args.temperature,
                top_k=args.top_k,
                top_p=args.top_p,
                guidance=args.guidance,
            )
            join_models(
                args.output,
                given,
                sampling=sampling,
                prefer_griffin_lim=args.prefer_griffin_lim,
                card=card,
                overwrite=args.overwrite,
            )
        size = sum(path.stat().st_size for path in args.output.rglob("*") if path.is_file())
        told = {"output": str(args.output), "parts": ", ".join(given), "bytes": size}
        tally.done(str(args.output), told)
        if not args.json:
            tell(f"{args.output}: {', '.join(given)}; {size / 1e6:.1f} MB")
    return tally.finish()


def _described(record: "PublishedWeights") -> dict[str, Any]:
    from earsight.models.catalogue import converted_path, fetched_path

    plain = ("name", "family", "summary", "url", "md5", "sha256", "sha256_prefix", "size_bytes")
    more = ("licence", "commercial", "frontend", "notes")
    return {
        **{name: getattr(record, name) for name in plain + more},
        "networks": [part.family for part in record.parts],
        "convertible": bool(record.parts),
        "fetched": fetched_path(record).is_file(),
        "converted": converted_path(record).is_dir(),
    }


def _fetch(source: str, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.models.catalogue import find

    record = _allowed(find(source), args)
    path = _fetched(record)
    return {
        "output": str(path),
        "bytes": path.stat().st_size,
        "hash": "as published" if record.has_hash else "none is published",
    }


def _fetched(record: "PublishedWeights") -> Path:
    """The record's file in the cache, downloaded where it is not there yet."""
    from earsight.checkpoints.fetch import fetch
    from earsight.models.catalogue import fetched_path

    before = 0
    with progress(f"fetch {record.name} (bytes)", total=None) as advance:

        def told(done: int, total: int | None) -> None:
            nonlocal before
            del total
            advance(done - before)
            before = done

        return fetch(
            record.url,
            destination=fetched_path(record),
            md5=record.md5,
            sha256=record.sha256,
            sha256_prefix=record.sha256_prefix,
            size_bytes=record.size_bytes,
            progress=told,
        )


def _resolved(source: str, args: argparse.Namespace) -> tuple[Path, "PublishedWeights"]:
    """The file that a source means, and which published weights it is."""
    from earsight.errors import InputError
    from earsight.models.catalogue import find, identify

    path = Path(source)
    if not path.exists():
        record = _allowed(find(source), args)
        return _fetched(record), record
    if not path.is_file():
        raise InputError(f"{path}: expected a weight file or archive, found a folder")
    record = find(args.named) if args.named else identify(path)
    if record is None:
        raise InputError(
            f"{path}: its hash is none of the published ones: say which weights it is meant to be "
            "with --as NAME ('earsight weights list' shows names)"
        )
    return path, _allowed(record, args)


def _allowed(record: "PublishedWeights", args: argparse.Namespace) -> "PublishedWeights":
    from earsight.errors import InputError

    if args.commercial and not record.commercial:
        raise InputError(
            f"{record.name} is not known to allow commercial use ({record.licence}): refused by "
            "--commercial"
        )
    return record


def _convert(source: str, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.checkpoints.convert import convert
    from earsight.models.catalogue import converted_path

    path, record = _resolved(source, args)
    done = convert(
        path,
        record,
        args.output or converted_path(record),
        extra=_class_names,
        half=args.half,
        overwrite=args.overwrite,
    )
    return {
        "weights": record.name,
        "output": str(done.folder),
        **_counts(done.parts),
        "accounts": {part.part.name: _rows(part) for part in done.parts},
    }


def _class_names(parts: "tuple[FittedPart, ...]") -> Mapping[str, object]:
    """Names of the classes where a network knows as many as a corpus has."""
    from earsight.data.corpora import vas, vggsound
    from earsight.models.melception.config import MelceptionConfig
    from earsight.models.token_gpt.config import TokenGPTConfig
    from earsight.models.vggishish.config import VGGishishConfig

    for part in parts:
        config = part.config
        knows = isinstance(config, VGGishishConfig | MelceptionConfig) or (
            isinstance(config, TokenGPTConfig) and config.has_class
        )
        for names in (vggsound.class_names(), vas.CLASS_NAMES):
            if knows and len(names) == getattr(config, "num_classes", None):
                return {"class_names": list(names)}
    return {}


def _verify(source: str, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.checkpoints.convert import fit, matches, opened

    if Path(source).is_dir():
        return _verify_folder(Path(source))
    path, record = _resolved(source, args)
    same = matches(path, record)
    if same is False:
        from earsight.errors import WeightsError

        raise WeightsError(f"{path}: is not the file published as {record.name}: hashes differ")
    with opened(path, pattern=record.archive_member, scratch=path.parent) as read:
        counts = _counts(fit(record, read.entries)) if record.parts else {"entries": "not checked"}
        return {
            "weights": record.name,
            "hash": "as published" if same else "none is published",
            "format": read.file.format,
            "classes_left_inert": [name for name in read.file.names if "torch" not in name],
            **counts,
        }


def _verify_folder(folder: Path) -> dict[str, Any]:
    from earsight.checkpoints.native import read_bundle

    bundle = read_bundle(folder)
    return {
        "weights": bundle.family,
        "hash": "as recorded",
        "format": "safetensors",
        "entries": sum(len(part.tensors) for part in bundle.parts.values()),
        "sha256": {name: part.sha256 for name, part in bundle.parts.items()},
    }


def _report(source: str, args: argparse.Namespace) -> dict[str, Any]:
    from earsight.checkpoints.convert import fit, opened

    path, record = _resolved(source, args)
    with opened(path, pattern=record.archive_member, scratch=path.parent) as read:
        parts = fit(record, read.entries)
    if not args.json:
        for part in parts:
            rows = [
                [row.published, row.own or f"left out: {row.reason}", "x".join(map(str, row.shape))]
                for row in part.account.rows
            ]
            tell(f"{record.name}, {part.part.name} ({part.part.family})")
            print_table(["published", "ours", "shape"], rows)
    return {
        "weights": record.name,
        **_counts(parts),
        "accounts": {part.part.name: _rows(part) for part in parts},
    }


def _counts(parts: "tuple[FittedPart, ...]") -> dict[str, Any]:
    return {
        "entries": sum(len(part.account.rows) for part in parts),
        "used": sum(len(part.account.used) for part in parts),
        "left_out": sum(len(part.account.dropped) for part in parts),
    }


def _rows(part: "FittedPart") -> list[dict[str, Any]]:
    return [
        {"published": row.published, "shape": list(row.shape)}
        | ({"own": row.own} if row.own is not None else {"left_out": row.reason})
        for row in part.account.rows
    ]


def _print(tally: Tally) -> None:
    done = [item for item in tally.items if item.outcome == "done"]
    shown = ("weights", "output", "bytes", "hash", "format", "entries", "used", "left_out")
    names = [name for name in shown if any(name in item.details for item in done)]
    if done:
        rows = [[item.name, *(item.details.get(name, "-") for name in names)] for item in done]
        print_table(["source", *names], rows)
