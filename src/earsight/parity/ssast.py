"""Golden cases of SSAST: pre-training losses and gradients, masks, fine-tuning, files.

Axes: b clips, t frames, m mel bands, k masked patches, n tokens, d width.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from random import Random
from typing import Any

import torch
from torch import Tensor

from earsight.checkpoints.blank import on_meta
from earsight.checkpoints.keymap import load_strict, translate
from earsight.errors import InputError
from earsight.losses.masked_patches import pretext_losses
from earsight.models.ssast.config import Pooling, SsastConfig, tagger
from earsight.models.ssast.masking import CLUSTER_SIDES, reference_cluster, reference_frames
from earsight.models.ssast.model import Ssast, SsastTagger
from earsight.models.ssast.published import (
    INPUT_BANDS,
    INPUT_FRAMES,
    KEYS,
    OFFICIAL_PREFIX,
    TAGGER_KEYS,
    config_from_entries,
)
from earsight.models.ssast.start import fine_tuning
from earsight.models.ssast_archives import PART, SSAST
from earsight.parity import fill
from earsight.parity.cases import NUMBER, Case
from earsight.parity.compare import Row, compare, equal, number
from earsight.parity.loading import account_row, below, filled, gradient_norms, meta_entries
from earsight.parity.runners import Runner, must_be

NAMES = re.compile(r"'([^']+)'")
MASK = re.compile(r"first (\d+) of argsort\(normal\(seed, ?'(\w+)', ?\[(\d+), ?(\d+)\]\)\)")
SUMMARY = re.compile(rf"full \[(\d+), ?(\d+)\] mean/std \[({NUMBER}), ?({NUMBER})\]")
POOLINGS: Mapping[str, Pooling] = {"logits_avgtok": "patches", "logits_cls": "class_tokens"}


def run_pretrain(case: Case) -> Iterator[Row]:
    """Both losses and the accuracy under given masks, gradient norms, raw patches."""
    official = case.config
    entries = _entries(case, case.keys)
    config = config_from_entries(entries)
    config = replace(config, num_heads=int(official.get("num_heads", config.num_heads)))
    _check(official, config)
    network = filled(on_meta(lambda: Ssast(config)), entries, KEYS)

    mel = case.input("x")
    output = network(mel, matched=_mask(case, "mask_c"), rebuilt=_mask(case, "mask_g"))
    losses = pretext_losses(
        matched=output.matched,
        match_target=output.match_target,
        rebuilt=output.rebuilt,
        rebuild_target=output.rebuild_target,
    )
    names = NAMES.findall(case.note("grad_norms"))
    step = re.search(r"\[0, ::(\d+)", case.note("unfolded"))
    yield from compare(
        case,
        {
            "losses": torch.stack([losses.match, losses.rebuild, losses.total, losses.accuracy]),
            "grad_norms": lambda: _norms(network, entries, names, losses.total),
            "unfolded": network.patch_values(mel)[0, :: int(step[1]) if step else 1],
        },
    )


def _entries(case: Case, keys: Mapping[str, Any]) -> dict[str, Tensor]:
    """Entries of a pre-training file without `module.`, the input's size as the case has it."""
    official = case.config
    sizes = {
        INPUT_BANDS: official.get("pretrain_fdim", official.get("input_fdim", 128)),
        INPUT_FRAMES: official.get("pretrain_tdim", official.get("input_tdim")),
        **fill.table(case.spec.get("keep_values")),
    }

    def keep(name: str, size: tuple[int, ...]) -> Tensor | None:
        value = sizes.get(name)
        return None if value is None else torch.tensor(int(value)).expand(size)

    return fill.entries(case.spec, below(keys, OFFICIAL_PREFIX) or keys, keep=keep)


def _check(official: Mapping[str, Any], config: SsastConfig) -> None:
    must_be(
        {name: str(value) for name, value in official.items()},
        embed_dim=str(config.width),
        depth=str(config.num_layers),
        fshape=str(config.patch[0]),
        tshape=str(config.patch[1]),
        fstride=str(config.patch[0]),
        tstride=str(config.patch[1]),
        input_fdim=str(config.num_mels),
        input_tdim=str(config.num_frames),
        grid_freq_by_time=str(list(config.grid)),
    )


def _mask(case: Case, name: str) -> Tensor:
    """Numbers of masked patches: the first of an argsort, worded once for all masks of a case."""
    inputs = {label: str(value) for label, value in fill.table(case.spec["inputs"]).items()}
    if name not in inputs:
        raise InputError(f"the case describes no input {name!r}")
    own = MASK.search(inputs[name])
    same = re.search(r"same with '(\w+)'", inputs[name])
    others = (MASK.search(text) for text in inputs.values())
    found = own or next((other for other in others if other and same), None)
    if found is None:
        raise InputError(f"input {name!r}: no rule for {inputs[name]!r}")
    source = found[2] if own or same is None else same[1]
    noise = fill.normal(case.seed, source, [int(found[3]), int(found[4])])
    return torch.as_tensor(noise.argsort(axis=1)[:, : int(found[1])])


def _norms(
    network: Ssast, entries: Mapping[str, Tensor], names: list[str], loss: Tensor
) -> list[float]:
    network.zero_grad()
    loss.backward(retain_graph=True)
    return gradient_norms(network, KEYS, entries, names)


def run_mask_generator(case: Case) -> Iterator[Row]:
    """Masks of the official generators, one per seed of Python's random module."""
    must_be(case.config, cluster=len(CLUSTER_SIDES))
    num_patches, num_masked = int(case.config["sequence_len"]), int(case.config["mask_size"])
    outputs: dict[str, Tensor] = {}
    for name in case.stored:
        told = str(fill.table(case.spec["inputs"]).get(name))
        seed = re.match(r"random\.seed\((\d+)\)", told)
        if seed is None:
            raise InputError(f"{name}: no rule for {told!r}")
        generator = Random(int(seed[1]))
        if name.startswith("frame"):
            found = reference_frames(generator, num_patches=num_patches, num_masked=num_masked)
        else:
            found = reference_cluster(
                generator,
                num_patches=num_patches,
                columns=int(case.config["p_t_dim"]),
                num_masked=num_masked,
            )
        outputs[name] = torch.tensor(found)
    without_inputs = replace(case, spec={**case.spec, "inputs": {}})
    yield from compare(without_inputs, outputs)


def run_finetune(case: Case) -> Iterator[Row]:
    """Class scores with either pooling after the start from pre-trained entries."""
    official = case.config
    entries = _entries(case, case.keys)
    config = config_from_entries(entries)
    must_be(official, fshape=config.patch[0], tshape=config.patch[1])
    pretrained = filled(on_meta(lambda: Ssast(config)), entries, KEYS)
    started = fine_tuning(
        pretrained,
        replace(
            tagger(
                config,
                num_classes=int(official["label_dim"]),
                num_frames=int(official["input_tdim"]),
                strides=(int(official["fstride"]), int(official["tstride"])),
            ),
            num_mels=int(official.get("input_fdim", config.num_mels)),
        ),
    ).eval()
    shapes = fill.table(case.spec.get("finetune_keys"))
    head = {name: shape for name, shape in shapes.items() if name.startswith("mlp_head.")}
    own = {f"encoder.{name}": value for name, value in started.encoder.state_dict().items()}
    load_strict(started, {**own, **_head(case, head)})

    table = started.encoder.positions.detach()[0]
    if "v.pos_embed" in shapes:
        yield equal(case, "pos_embed shape", [1, *table.shape], shapes["v.pos_embed"])
    summary = SUMMARY.search(case.note("pos_embed"))
    if summary is not None:
        ours = torch.stack([table.double().mean(), table.double().std(correction=0)])
        expected = [float(summary[3]), float(summary[4])]
        yield number(case, "pos_embed (mean, spread)", ours, expected)
    step = re.search(r"rows ::(\d+)", case.note("pos_embed"))
    width = case.stored["pos_embed"].shape[1] if "pos_embed" in case.stored else table.shape[1]
    yield from compare(
        case,
        {
            **{name: _scores(case, started, pooling) for name, pooling in POOLINGS.items()},
            "pos_embed": table[:: int(step[1]) if step else 1, :width],
        },
    )


def _head(case: Case, shapes: Mapping[str, Any]) -> dict[str, Tensor]:
    """The classifier's entries under our names, filled under their published ones."""
    return translate(fill.entries(case.spec, shapes), TAGGER_KEYS).entries


@torch.inference_mode()
def _scores(case: Case, started: SsastTagger, pooling: Pooling) -> Tensor:
    other = SsastTagger(replace(started.config, pooling=pooling)).eval()
    load_strict(other, started.state_dict())
    return other(case.input("x")).logits


def run_keys(case: Case) -> Iterator[Row]:
    """Strict load of a published file's names and shapes at full size."""
    entries = below(meta_entries(case), PART.prefix)
    network = on_meta(lambda: PART.build(PART.config(entries)))
    yield from account_row(case, [load_strict(network, entries, PART.keys(entries))])


def _stem(url: str) -> str:
    return PurePosixPath(url.partition("?")[0]).stem


KINDS: dict[str, Runner] = {
    "pretrain": run_pretrain,
    "mask_generator": run_mask_generator,
    "finetune": run_finetune,
    **{f"{_stem(record.url)}.keys": run_keys for record in SSAST},
}
