"""Golden cases of PaSST alone: network, spectrogram, long sounds, and every published file.

Axes: b clips, s samples, m mel bands, t frames.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict
from earsight.frontends import passt_mel
from earsight.models.judge_archives import PASST
from earsight.models.passt.model import Passt
from earsight.models.passt.published import KEYS, config_from_entries
from earsight.models.passt.scene import scene_output
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Row, compare
from earsight.parity.loading import account_row, below, filled, meta_entries
from earsight.parity.runners import Runner, must_be
from earsight.parity.waves import described_wave

WRAPPED = "net."


def loaded_passt(case: Case, entries: Mapping[str, Tensor]) -> Passt:
    """The case's network with its published entries.

    Raises InputError where the case's own sizes contradict its entries or the fixed spectrogram.
    """
    official = case.config
    heads = official.get("num_heads", official.get("heads"))
    num_mels = official.get("input_fdim", official.get("n_mels", passt_mel.NUM_MELS))
    _check_front_end(official)
    config = config_from_entries(entries, num_mels=int(num_mels), num_heads=heads)
    if "stride" in official:
        config = replace(config, strides=_pair(official["stride"]))
    must_be(
        {**official, "grid": str(official.get("grid"))} if "grid" in official else official,
        patch=config.patch,
        depth=config.num_layers,
        embed_dim=config.width,
        num_classes=config.num_classes,
        grid=str([config.num_rows, config.max_columns]),
    )
    return filled(on_meta(lambda: Passt(config)), entries, KEYS)


def _pair(stride: Any) -> tuple[int, int]:
    if isinstance(stride, int):
        return stride, stride
    bands, frames = stride
    return int(bands), int(frames)


def _check_front_end(official: Mapping[str, Any]) -> None:
    must_be(
        official,
        sr=passt_mel.RATE_HZ,
        n_fft=passt_mel.FFT_SAMPLES,
        win=passt_mel.WINDOW_SAMPLES,
        hop=passt_mel.HOP_SAMPLES,
        n_mels=passt_mel.NUM_MELS,
        fmin=0,
        fmax=15000,
    )


def run_forward(case: Case) -> Iterator[Row]:
    """Features and class scores of spectrograms of several lengths."""
    network = loaded_passt(case, case.entries())
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        for name in fill.table(case.spec["inputs"]):
            output = network(case.input(name)[:, 0])
            outputs[name.replace("x", "logits", 1)] = output.logits
            outputs[name.replace("x", "features", 1)] = output.features
    yield from compare(case, outputs)


def run_mel(case: Case) -> Iterator[Row]:
    """Spectrograms of described waves, cropped to every so many columns."""
    _check_front_end(case.config)
    outputs: dict[str, Tensor] = {}
    for name in fill.table(case.spec["inputs"]):
        mel = passt_mel.log_mel(described_wave(case, name))[0]
        step = re.search(r"columns ::(\d+)", case.note(name))
        outputs[name] = mel[:, :: int(step[1]) if step else 1]
    yield from compare(case, outputs)


def run_wrapper(case: Case) -> Iterator[Row]:
    """Scores beside features, as the wrapper of the official package hands them out."""
    kept = set(map(str, case.spec.get("keep", ())))
    entries = case.entries(keep=lambda name, size: torch.zeros(size) if name in kept else None)
    network = loaded_passt(case, below(entries, WRAPPED))
    window = round(case.config["max_model_window_s"] * passt_mel.RATE_HZ)
    hop = round(case.config["scene_hop_s"] * passt_mel.RATE_HZ)

    outputs: dict[str, Tensor] = {}
    for name, value in fill.table(case.spec["inputs"]).items():
        sizes = fill.table(value)
        ending = f"_{sizes['n'] / sizes['sr']:g}s"
        with torch.inference_mode():
            output = scene_output(
                network, described_wave(case, name), window_samples=window, hop_samples=hop
            )
        joined = torch.cat([output.logits, output.features], dim=1)
        outputs |= {stored: joined for stored in case.stored if stored.endswith(ending)}
    yield from compare(case, outputs)


def run_keys(case: Case) -> Iterator[Row]:
    """Strict load of a published file's names and shapes at full size."""
    entries = meta_entries(case)
    config = config_from_entries(entries)
    network = on_meta(lambda: Passt(config))
    yield from account_row(case, [load_strict(network, entries, KEYS)])


KINDS: dict[str, Runner] = {
    "forward": run_forward,
    "mel": run_mel,
    "wrapper": run_wrapper,
    **{f"{PurePosixPath(record.url).stem}.keys": run_keys for record in PASST},
}
