"""`earsight bench`: speed and memory, beside the plain way in the same run."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from earsight.cli.report import print_json, print_table, tell

PARTS = "sampler|decoder|filterbank|pretraining|networks|tagging"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parts = parser.add_subparsers(dest="part", required=True, metavar=PARTS)
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
    _configure_listening(parts)
    for part in parts.choices.values():
        part.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
        part.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _configure_listening(parts: Any) -> None:
    fbank = parts.add_parser("filterbank", help="log filterbank against transformers' with NumPy")
    fbank.add_argument("--batch", type=int, default=32, help="clips (default: 32)")
    fbank.add_argument("--seconds", type=float, default=10.0, help="of a clip (default: 10)")
    fbank.add_argument("--repeats", type=int, default=5)
    step = parts.add_parser(
        "pretraining", help="Audio-MAE step with visible patches encoded against all patches"
    )
    step.add_argument("--size", choices=("small", "base", "large", "tiny"), default="base")
    step.add_argument("--decoder", choices=("local", "global", "hybrid"), default="local")
    step.add_argument("--ratio", type=float, default=0.8, help="masked share (default: 0.8)")
    step.add_argument("--batch", type=int, default=8)
    step.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    step.add_argument("--repeats", type=int, default=3)
    step.add_argument("--recompute", action="store_true", help="save memory, compute blocks twice")
    step.add_argument("--device", default="cpu")
    step.add_argument("--peak-tflops", type=float, help="of the device, to print the share reached")
    sizes = parts.add_parser("networks", help="published sizes: one forward and backward pass each")
    sizes.add_argument("--names", nargs="+", metavar="NAME", help="default: all")
    sizes.add_argument("--batch", type=int, default=1)
    sizes.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    long = parts.add_parser("tagging", help="speed and memory of 'earsight tag' on long sounds")
    long.add_argument("--minutes", type=float, nargs="+", default=[5.0, 30.0])
    long.add_argument("--model", help="name or folder (default: small, random weights)")
    long.add_argument("--batch", type=int, default=8, help="windows at once")
    long.add_argument("--steps", action="store_true", help="framewise scores too, as for timelines")


def run(args: argparse.Namespace) -> int:
    """Measure and print one table."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    measure = {
        "sampler": _sampler,
        "decoder": _decoder,
        "filterbank": _filterbank,
        "pretraining": _pretraining,
        "networks": _networks,
        "tagging": _tagging,
    }[args.part]
    rows = [asdict(row) for row in measure(args)]
    if args.json:
        threads = torch.get_num_threads()
        print_json(
            {"part": args.part, "threads": threads, "torch": torch.__version__, "rows": rows}
        )
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    return 0


def _sampler(args: argparse.Namespace) -> Sequence[Any]:
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
    return sampler_speeds(
        config,
        precisions=tuple(args.precision),
        batches=tuple(args.batch),
        plain_passes=max(1, args.plain_passes),
        device=args.device,
    )


def _decoder(args: argparse.Namespace) -> Sequence[Any]:
    from earsight.evaluate.speed import decoder_speeds
    from earsight.models.mel_vqgan.config import MelVQGANConfig
    from earsight.models.melgan.config import MelGANConfig

    tell("decoding 5 x 53 codes to 9.85 s of sound; random weights")
    return decoder_speeds(
        MelVQGANConfig(channels=args.channels),
        MelGANConfig(channels=args.vocoder_channels),
        batches=tuple(args.batch),
    )


def _filterbank(args: argparse.Namespace) -> Sequence[Any]:
    from earsight.evaluate.filterbank_speed import filterbank_speeds

    tell(f"{args.batch} clips of {args.seconds:g} s at 16 kHz, {max(1, args.repeats)} turns each")
    return filterbank_speeds(
        batch=args.batch, clip_seconds=args.seconds, repeats=max(1, args.repeats)
    )


def _pretraining(args: argparse.Namespace) -> Sequence[Any]:
    from earsight.evaluate.pretraining_speed import pretraining_arms, pretraining_speeds

    arms = pretraining_arms(
        size=args.size,
        decoder=args.decoder,
        precisions=tuple(args.precision),
        ratio=args.ratio,
        batch=args.batch,
        device=args.device,
        recompute=args.recompute,
    )
    tell(f"{len(arms)} arms in turns, {max(1, args.repeats)} steps each after one to warm up")
    return pretraining_speeds(
        arms,
        repeats=max(1, args.repeats),
        num_threads=args.threads,
        peak_tflops=args.peak_tflops,
    )


def _networks(args: argparse.Namespace) -> Sequence[Any]:
    from earsight.evaluate.network_sizes import NETWORKS, NetworkSize, network_sizes

    tell("one forward and backward pass of each network, kept and recomputed; random weights")
    rows: list[NetworkSize] = []
    for row in network_sizes(
        args.names or list(NETWORKS),
        batch=args.batch,
        precision=args.precision,
        num_threads=args.threads,
    ):
        way = "recomputed" if row.recompute else "kept"
        tell(f"{row.network}, {way}: {row.seconds} s, {row.peak_memory_mib} MiB")
        rows.append(row)
    return rows


def _tagging(args: argparse.Namespace) -> Sequence[Any]:
    from earsight.evaluate.tagging_memory import tagging_memory

    tell("tagging noise at 44.1 kHz, each length in a process of its own")
    return tagging_memory(
        args.minutes,
        model=args.model,
        batch=args.batch,
        with_steps=args.steps,
        num_threads=args.threads,
    )
