"""`earsight bench`: speed beside the plain way in the same run."""

import argparse
from dataclasses import asdict
from typing import Any

from earsight.cli.report import print_json, print_table, tell


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="sampler|decoder")
    sampler = parts.add_parser("sampler", help="cached sampling against running all codes again")
    sampler.add_argument("--layers", type=int, default=24)
    sampler.add_argument("--width", type=int, default=1024)
    sampler.add_argument("--heads", type=int, default=16)
    sampler.add_argument("--codes", type=int, default=1024, help="size of the codebook")
    sampler.add_argument("--features", type=int, default=212, help="feature tokens; 0 = class only")
    sampler.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    sampler.add_argument(
        "--precision", nargs="+", choices=("fp32", "bf16", "int8"), default=["fp32", "bf16", "int8"]
    )
    sampler.add_argument(
        "--plain-passes", type=int, default=4, help="passes measured of the plain way"
    )
    sampler.add_argument("--device", default="cpu")
    decoder = parts.add_parser("decoder", help="spectrogram decoder and vocoder, fp32 and bf16")
    decoder.add_argument("--channels", type=int, default=128, help="of the decoder")
    decoder.add_argument("--vocoder-channels", type=int, default=32)
    decoder.add_argument("--batch", type=int, nargs="+", default=[1])
    for part in (sampler, decoder):
        part.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
        part.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Measure and print one table."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    rows = _sampler(args) if args.part == "sampler" else _decoder(args)
    if args.json:
        threads = torch.get_num_threads()
        print_json(
            {"part": args.part, "threads": threads, "torch": torch.__version__, "rows": rows}
        )
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    return 0


def _sampler(args: argparse.Namespace) -> list[dict[str, Any]]:
    from earsight.evaluate.speed import sampler_speeds
    from earsight.models.token_gpt.config import TokenGPTConfig

    config = TokenGPTConfig(
        num_codes=args.codes,
        num_positions=265 + max(1, args.features),
        width=args.width,
        num_layers=args.layers,
        num_heads=args.heads,
        condition="features" if args.features else "class",
    )
    tell(f"sampling 265 codes, {args.layers} layers of width {args.width}; random weights")
    rows = sampler_speeds(
        config,
        precisions=tuple(args.precision),
        batches=tuple(args.batch),
        plain_passes=max(1, args.plain_passes),
        device=args.device,
    )
    return [asdict(row) for row in rows]


def _decoder(args: argparse.Namespace) -> list[dict[str, Any]]:
    from earsight.evaluate.speed import decoder_speeds
    from earsight.models.mel_vqgan.config import MelVQGANConfig
    from earsight.models.melgan.config import MelGANConfig

    tell("decoding 5 x 53 codes to 9.85 s of sound; random weights")
    rows = decoder_speeds(
        MelVQGANConfig(channels=args.channels),
        MelGANConfig(channels=args.vocoder_channels),
        batches=tuple(args.batch),
    )
    return [asdict(row) for row in rows]
