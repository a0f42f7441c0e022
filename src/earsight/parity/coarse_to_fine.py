"""Golden cases of coarse-to-fine training: compression, weight transfer, cost.

Axes: t frames, m mel bands, n tokens, d width.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends import kaldi_fbank
from earsight.frontends.fbank_statistics import AUDIOSET
from earsight.nn.patch_kernels import bilinear_kernel, inverse_kernel, inverse_matrix
from earsight.nn.position_tables import resized_table
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Row, Value, as_array, compare, number
from earsight.parity.runners import Runner
from earsight.parity.waves import wave_from
from earsight.training.coarse_cost import (
    AUDIOSET_TIME_RATIOS,
    TIME_RATIOS,
    clip_macs,
    cost_ratio,
    saved_share,
)
from earsight.training.coarse_to_fine import Compression, Method, compressed_input

COMPRESSIONS: dict[str, Method] = {
    "fshift": "frame_shift",
    "avg": "average_pool",
    "max": "max_pool",
}
METHODS: dict[str, Method] = {
    "Fshift/Pool": "frame_shift",
    "Fshift": "frame_shift",
    "Pool": "average_pool",
    "Patch": "patch_inverse",
}
MISPRINT = ("time", "published", 28.0)  # must be 27.78, which the rows' other number says
MEAN_SPREAD = re.compile(r"mean/std \[([-+.\de]+), ([-+.\de]+)\]")
GRIDS = re.compile(r"grid \((\d+), (\d+)\) -> \((\d+), (\d+)\)")


def run_compression(case: Case) -> Iterator[Row]:
    """Spectrograms of one wave by every way and factor of compression."""
    inputs = fill.table(case.spec["inputs"])
    wave = wave_from(case.seed, inputs)
    outputs: dict[str, Tensor] = {}
    for name in case.stored:
        told = re.fullmatch(r"([a-z]+)(\d+)", name)
        if told is None or told[1] not in COMPRESSIONS:
            continue  # reported as an output without a rule
        compression = Compression(method=COMPRESSIONS[told[1]], factor=int(told[2]))
        outputs[name] = _compressed(wave, int(inputs["sr"]), compression)
    yield from compare(case, {name: _rows(case, name, x) for name, x in outputs.items()})
    for name, whole in outputs.items():
        yield from _mean_and_spread(case, name, whole)


def _compressed(wave: Tensor, rate_hz: int, compression: Compression) -> Tensor:
    """The rows a network would see of the wave, with the statistics of AudioSet."""
    settings = kaldi_fbank.compressed(compression.hop_factor)
    if rate_hz != settings.rate_hz:
        raise InputError(f"the case has {rate_hz} Hz, the filterbank {settings.rate_hz}")
    num_frames = compression.spectrogram_frames(AUDIOSET.num_frames)
    fbank = kaldi_fbank.log_fbank(wave, settings=settings)
    padded = kaldi_fbank.pad_or_crop(fbank, num_frames=num_frames)
    return compressed_input(kaldi_fbank.normalise(padded, AUDIOSET), compression)[0]


def _rows(case: Case, name: str, whole: Tensor) -> Tensor:
    """Every so many rows; "same rows" are those of another output with as many."""
    count = len(case.stored[name])
    notes = [case.note(name), *map(str, fill.table(case.spec["outputs"]).values())]
    if "::" in notes[0] or "same rows" not in notes[0] or len(whole) == count:
        return whole
    steps = [int(step) for note in notes for step in re.findall(r"rows ::(\d+)", note)]
    fits = [step for step in steps if -(-len(whole) // step) == count]
    return whole[:: fits[0]] if fits else whole


def _mean_and_spread(case: Case, name: str, whole: Tensor) -> Iterator[Row]:
    told = MEAN_SPREAD.search(case.note(name))
    if told is None:
        return
    expected = [float(told[1]), float(told[2])]
    array = as_array(whole).astype(np.float64)
    spreads = [array.std(), array.std(ddof=1)]  # cases differ in what they divide by
    spread = min(spreads, key=lambda value: abs(value - expected[1]))
    yield number(case, f"{name} (mean, spread)", [float(array.mean()), float(spread)], expected)


def run_patch_resize(case: Case) -> Iterator[Row]:
    """Kernels at other sizes, by each rule; sides are those of the case's list."""
    outputs: dict[str, Tensor] = {}
    for name, (old, new) in case.config["cases"].items():
        kernel, size = case.input(name), (int(new[0]), int(new[1]))
        if list(kernel.shape[2:]) != list(old):
            raise InputError(f"{name}: kernel {list(kernel.shape)}, the case says {old}")
        made = {
            f"{name}_pi": inverse_kernel(kernel, size),
            f"{name}_pi_antialias": inverse_kernel(kernel, size, antialias=True),
            f"{name}_bl": bilinear_kernel(kernel, size),
            f"{name}_bl_plain": bilinear_kernel(kernel, size, antialias=False),
        }
        for output, whole in made.items():
            stored = case.stored.get(output)
            outputs[output] = whole if stored is None else whole[: len(stored)]
    yield from compare(case, outputs)
    for name, (old, new) in case.config["cases"].items():
        axes = [inverse_matrix(a, b, antialias=False) for a, b in zip(old, new, strict=True)]
        yield from _mean_and_spread(case, name, torch.kron(axes[0], axes[1]))


def run_pos_resize(case: Case) -> Iterator[Row]:
    """Position tables on other grids, with and without anti-aliasing."""
    outputs: dict[str, Value] = {}
    for name in fill.table(case.spec["inputs"]):
        table, note = case.input(name), case.note(name)
        told = GRIDS.search(note)
        if told is None:
            raise InputError(f"{name}: no rule for {note!r}")
        rows, columns, *size = map(int, told.groups())
        num_class_tokens = table.shape[1] - rows * columns
        for output, antialias, first in (
            (name, "antialias=False" not in note, 0),
            (f"{name}_plain", False, num_class_tokens),
        ):
            resized = resized_table(
                table,
                grid=(rows, columns),
                size=(size[0], size[1]),
                num_class_tokens=num_class_tokens,
                antialias=antialias,
            )
            outputs[output] = resized[0, first:]
    yield from compare(case, outputs)


def run_flops(case: Case) -> Iterator[Row]:
    """The cost of every resolution, and the savings of the published tables."""
    spec = case.spec
    full = clip_macs(Compression(method="frame_shift", factor=1))
    yield number(case, "full cost", full, spec["full_cost_macs"])
    for label, expected in spec["cost_ratio"].items():
        method, factor = _told(label)
        yield number(case, label, cost_ratio(_compression(method, factor)), expected)
    for label, expected in spec["time_ratio"].items():
        factor, _, corpus = label.removeprefix("C=").partition(" ")
        yield number(case, f"time {label}", _time_ratio(corpus, int(factor)), expected)
    for index, row in enumerate(spec["rows"]):
        yield from _savings(case, f"{index} {row['dataset']} {row['method']}", row)
    yield from _ssast(case, fill.table(spec.get("ssast")))


def _told(label: str) -> tuple[str, int]:
    method, _, factor = label.partition(" C=")
    return method, int(factor)


def _compression(method: str, factor: int) -> Compression:
    if method not in METHODS:
        raise InputError(f"expected a method among {', '.join(METHODS)}, got {method!r}")
    return Compression(method=METHODS[method], factor=factor)


def _time_ratio(corpus: str, factor: int) -> float:
    ratios = AUDIOSET_TIME_RATIOS if corpus == "AudioSet" else TIME_RATIOS
    if factor not in ratios:
        raise InputError(f"no time of an epoch is published for a factor of {factor}")
    return ratios[factor]


def _savings(case: Case, label: str, row: dict[str, Any]) -> Iterator[Row]:
    baseline, last = float(row["baseline_best_epoch"]), float(row["final_epochs"])
    coarse = {int(factor): float(epochs) for factor, epochs in row["coarse_epochs"].items()}
    flops = [(n, cost_ratio(_compression(row["method"], c))) for c, n in coarse.items()]
    times = [(n, _time_ratio(row["dataset"], c)) for c, n in coarse.items()]
    for kind, spent in (("flops", flops), ("time", times)):
        percent = 100 * saved_share([*spent, (last, 1.0)], baseline=baseline)
        for source in ("published", "predicted"):
            expected = row.get(f"{kind}_saved_{source}")
            if expected is not None and (kind, source, expected) != MISPRINT:
                yield number(case, f"{label} {kind} {source}", percent, expected)


def _ssast(case: Case, row: dict[str, Any]) -> Iterator[Row]:
    if not row:
        return
    spent = [
        (float(row["coarse_iterations"]), cost_ratio(_compression("Fshift", 4))),
        (float(row["fine_iterations"]), 1.0),
    ]
    percent = 100 * saved_share(spent, baseline=float(row["baseline_iterations"]))
    for source in ("predicted", "published_flops"):
        yield number(case, f"SSAST {source}", percent, row[source])


KINDS: dict[str, Runner] = {
    "compression": run_compression,
    "patch_resize": run_patch_resize,
    "pos_resize": run_pos_resize,
    "flops": run_flops,
}
"""Kinds of golden cases; time savings of SSAST follow from no count and are not compared."""
