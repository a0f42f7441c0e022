"""Golden cases of HTS-AT: spectrogram, network, losses with gradients, mixing, learning rates.

Axes: b clips, t frames, m mel bands, k classes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict
from earsight.errors import InputError
from earsight.frontends import htsat_augment, htsat_mel
from earsight.losses.tags import asymmetric_loss
from earsight.models.htsat.config import HtsatConfig, Labels
from earsight.models.htsat.image import repeated
from earsight.models.htsat.model import Htsat, HtsatOutput
from earsight.models.htsat.published import KEYS, PREFIX, config_from_entries
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Row, Value, as_array, compare, number
from earsight.parity.loading import account_row, below, filled, gradient_norms, meta_entries
from earsight.parity.runners import Runner, must_be
from earsight.parity.waves import wave_from
from earsight.training.schedules import htsat_factor

LABELS: Mapping[str, Labels] = {"clip_bce": "many", "clip_ce": "one", "asl_loss": "many"}
TARGETS = re.compile(
    r"normal\(seed, ?'(\w+)', ?\[(\d+), ?(\d+)\]\) > ([-\d.]+)(?P<single>, argmax)?"
)


def run_forward(case: Case) -> Iterator[Row]:
    """Spectrogram, picture, scores, scores over time, loss and gradient norms of one wave."""
    network, entries = _loaded(case)
    official, inputs = case.config, fill.table(case.spec["inputs"])
    settings = _mel_settings(official)
    must_be(inputs, sr=settings.rate_hz)
    mel = htsat_mel.log_mel(wave_from(case.seed, inputs), settings)
    short = "repeat" if official.get("infer_mode") else "stretch"
    output = network(mel, short=short)
    losses = [_loss(case, output)] if {"loss", "grad_norms"} & set(case.stored) else []

    outputs: dict[str, Value | Callable[[], Value]] = {
        "logmel": mel[0],
        "clipwise": output.scores,
        "framewise": output.framewise,
        "latent": output.latent,
        "image": lambda: _picture(network, mel, repeat=short == "repeat"),
        "loss": lambda: losses[0].reshape(1),
        "grad_norms": lambda: _norms(case, network, entries, losses[0]),
    }
    yield from compare(case, outputs)


def _picture(network: Htsat, mel: Tensor, *, repeat: bool) -> Tensor:
    x = network.normalised(mel)
    x = repeated(x, max_frames=network.config.max_frames) if repeat else x
    return network.picture(x)[0]


def _loaded(case: Case) -> tuple[Htsat, dict[str, Tensor]]:
    """The case's network in evaluation mode, and its entries."""
    kept = set(map(str, case.spec.get("keep", ())))
    given = case.entries(keep=lambda name, size: torch.zeros(size) if name in kept else None)
    entries = below(given, PREFIX) or given
    return filled(on_meta(lambda: Htsat(_config(case, entries))), entries, KEYS), entries


def _config(case: Case, entries: Mapping[str, Tensor]) -> HtsatConfig:
    official = case.config
    must_be(
        official,
        in_chans=1,
        mlp_ratio=4,
        qkv_bias=True,
        qk_scale=None,
        ape=False,
        patch_norm=True,
        norm_before_mlp="ln",
        enable_tscam=True,
        enable_repeat_mode=False,
        htsat_attn_heatmap=False,
    )
    loss_type = str(official.get("loss_type", "clip_bce"))
    if loss_type not in LABELS:
        raise InputError(f"expected a loss among {', '.join(LABELS)}, the case has {loss_type!r}")
    stride = official.get("patch_stride")
    config = config_from_entries(
        entries,
        strides=None if stride is None else _pair(stride),
        picture=official.get("spec_size"),
        labels=LABELS[loss_type],
    )
    # a file tells the first stage's windows, which are smaller where its map is
    config = replace(config, window=int(official.get("window_size", config.window)))
    must_be(
        {name: str(value) for name, value in official.items()},
        patch_size=str(config.patch),
        embed_dim=str(config.width),
        depths=str(list(config.depths)),
        num_heads=str(list(config.num_heads)),
        num_classes=str(config.num_classes),
        mel_bins=str(config.num_mels),
    )
    return config


def _pair(stride: Any) -> tuple[int, int]:
    if isinstance(stride, int):
        return stride, stride
    rows, columns = stride
    return int(rows), int(columns)


def _mel_settings(official: Mapping[str, Any]) -> htsat_mel.HtsatMelConfig:
    published = htsat_mel.audioset()
    return htsat_mel.HtsatMelConfig(
        rate_hz=int(official.get("sample_rate", published.rate_hz)),
        fft_samples=int(official.get("window_size_stft", published.fft_samples)),
        hop_samples=int(official.get("hop_size", published.hop_samples)),
        num_mels=int(official.get("mel_bins", published.num_mels)),
        low_hz=float(official.get("fmin", published.low_hz)),
        high_hz=float(official.get("fmax", published.high_hz)),
    )


def _loss(case: Case, output: HtsatOutput) -> Tensor:
    """The published loss: on probabilities, or on logits of a single class."""
    told = str(fill.table(case.spec["inputs"]).get("targets"))
    found = TARGETS.match(told)
    if found is None:
        raise InputError(f"no rule for targets made like this: {told!r}")
    drawn = fill.normal(case.seed, found[1], [int(found[2]), int(found[3])])
    targets = (torch.as_tensor(drawn) > float(found[4])).float()
    loss_type = case.config.get("loss_type", "clip_bce")
    if loss_type == "clip_ce":
        labels = targets.argmax(dim=1) if found["single"] else targets
        return functional.cross_entropy(output.scores, labels)
    if loss_type == "asl_loss":
        return asymmetric_loss(output.scores, targets)
    return functional.binary_cross_entropy(output.scores, targets)


def _norms(case: Case, network: Htsat, entries: Mapping[str, Tensor], loss: Tensor) -> list[float]:
    network.zero_grad()
    loss.backward()  # pyright: ignore[reportUnknownMemberType] # partly typed in torch
    names = re.findall(r"'([^']+)'", case.note("grad_norms"))
    return gradient_norms(network, KEYS, entries, [name.removeprefix(PREFIX) for name in names])


def run_mixup(case: Case) -> Iterator[Row]:
    """A batch mixed with its mirror, with given shares."""
    shares = torch.tensor(case.config["lambda"], dtype=torch.float32)
    (name,) = fill.table(case.spec["inputs"])
    yield from compare(case, {"mixed": htsat_augment.mixup(case.input(name), shares)})


def run_lr_schedule(case: Case) -> Iterator[Row]:
    """The factor of every epoch."""
    expected = case.spec["lr_factor"]
    ours = [htsat_factor(epoch) for epoch in range(len(expected))]
    yield number(case, "lr_factor", as_array(ours), expected)


def run_keys(case: Case) -> Iterator[Row]:
    """Strict load of a published file's names and shapes at full size."""
    entries = meta_entries(case)
    bare = below(entries, PREFIX) or entries
    config = config_from_entries(bare)
    yield from account_row(case, [load_strict(on_meta(lambda: Htsat(config)), bare, KEYS)])


KINDS: dict[str, Runner] = {
    "forward": run_forward,
    "mixup": run_mixup,
    "lr_schedule": run_lr_schedule,
    "HTSAT_AudioSet_Saved.keys": run_keys,
}
