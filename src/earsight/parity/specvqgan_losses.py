"""Golden case of the codebook's training losses: both steps, both norm modes, both weights."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from earsight.checkpoints.keymap import KeyMap
from earsight.errors import InputError
from earsight.losses.adversarial import DiscriminatorLoss
from earsight.losses.codebook import (
    CodebookLossWeights,
    discriminator_losses,
    generator_losses,
)
from earsight.models.mel_vqgan.discriminator import PatchDiscriminator
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.mel_vqgan.perceptual import LPAPS
from earsight.models.mel_vqgan.published import (
    MODEL_KEYS,
    discriminator_keys,
    perceptual_keys,
)
from earsight.parity.cases import Case
from earsight.parity.compare import Outputs, Row, compare
from earsight.parity.loading import below, filled, gradient_norms
from earsight.parity.runners import must_be
from earsight.parity.specvqgan_configs import (
    codebook_config,
    judge_config,
    perceptual_config,
)

PERCEPTUAL = "loss.perceptual_loss."
DISCRIMINATOR = "loss.discriminator."
ROW = re.compile(r"(?P<mode>eval|train)_(?P<clamp>fixed|adaptive)_(?P<step>\d+)")
ADAPTIVE_RANGE = (0.0, 1e4)
FORMS: Mapping[str, DiscriminatorLoss] = {"hinge": "hinge", "vanilla": "softplus"}


@dataclass(frozen=True)
class Parts:
    """Networks of a codebook checkpoint with the published entries that filled them."""

    codebook: MelVQGAN
    perceptual: LPAPS
    discriminator: PatchDiscriminator
    codebook_entries: dict[str, Tensor]
    discriminator_entries: dict[str, Tensor]


def run_codebook_losses(case: Case) -> Iterator[Row]:
    """Every loss term and gradient norm per mode, weight and step."""
    parts = _parts(case)
    outputs: dict[str, Any] = {}
    for name in case.stored:
        told = ROW.fullmatch(name)
        if told is not None:
            weights = _weights(case, adaptive=told["clamp"] == "adaptive")
            trained = told["mode"] == "train"
            outputs[name] = _row_of(case, parts, weights, int(told["step"]), trained)
    made: Outputs = outputs
    yield from compare(case, made)


def _row_of(
    case: Case, parts: Parts, weights: CodebookLossWeights, step: int, trained: bool
) -> list[float]:
    """Values in the order of the case's columns; fresh networks for each of the two steps."""
    mel, values = case.input("x"), dict[str, float]()
    columns: list[str] = case.spec["outputs"]["columns"]
    codebook = deepcopy(parts.codebook).train(trained)
    judge = deepcopy(parts.discriminator).train(trained)
    rebuilt = codebook(mel)
    losses = generator_losses(
        mel,
        rebuilt.mel,
        rebuilt.quantized.loss,
        judge=judge,
        distance=parts.perceptual,
        last_layer=codebook.decoder.conv_out.weight,
        weights=weights,
        step=step,
    )
    losses.total.backward()  # pyright: ignore[reportUnknownMemberType]
    values |= {
        "total_loss": losses.total.item(),
        "nll_loss": losses.reconstruction.item(),
        "p_loss": losses.perceptual.item(),
        "quant_loss": losses.codebook.item(),
        "g_loss": losses.adversarial.item(),
        "d_weight": losses.adversarial_weight.item(),
        "disc_factor": weights.adversarial_factor(step),
    }
    values |= _gradients(columns, codebook, MODEL_KEYS, parts.codebook_entries, "")
    judge = deepcopy(parts.discriminator).train(trained)
    judged = discriminator_losses(mel, rebuilt.mel, judge=judge, weights=weights, step=step)
    judged.total.backward()  # pyright: ignore[reportUnknownMemberType]
    values |= {
        "disc_loss": judged.total.item(),
        "logits_real": judged.real_logit.item(),
        "logits_fake": judged.fake_logit.item(),
    }
    keys = discriminator_keys(judge.config)
    values |= _gradients(columns, judge, keys, parts.discriminator_entries, DISCRIMINATOR)
    missing = [column for column in columns if column not in values]
    if missing:
        raise InputError(f"no rule for the columns {missing}")
    return [values[column] for column in columns]


def _gradients(
    columns: list[str], network: nn.Module, keys: KeyMap, entries: dict[str, Tensor], prefix: str
) -> dict[str, float]:
    """Columns "grad NAME" whose NAME is an entry of this network."""
    names = [column.removeprefix("grad ") for column in columns if column.startswith("grad ")]
    own = [name for name in names if name.removeprefix(prefix) in entries and prefix in name]
    found = gradient_norms(network, keys, entries, [name.removeprefix(prefix) for name in own])
    return {f"grad {name}": norm for name, norm in zip(own, found, strict=True)}


def _weights(case: Case, *, adaptive: bool) -> CodebookLossWeights:
    must_be(case.config, disc_factor=1.0)
    official = case.config["lossconfig"]["params"]
    must_be(official, disc_conditional=False, disc_in_channels=1)
    fixed = official.get("min_adapt_weight", 1.0), official.get("max_adapt_weight", 1.0)
    low, high = ADAPTIVE_RANGE if adaptive else fixed
    return CodebookLossWeights(
        perceptual=official["perceptual_weight"],
        codebook=official["codebook_weight"],
        adversarial=official["disc_weight"],
        discriminator_start=official["disc_start"],
        minimum_adaptive=low,
        maximum_adaptive=high,
        discriminator_loss=FORMS[case.config.get("disc_loss", "hinge")],
    )


def _parts(case: Case) -> Parts:
    num_mels = case.input("x").shape[2]
    perceptual = LPAPS(perceptual_config(below(case.keys, PERCEPTUAL), num_mels=num_mels))
    scaling = {
        f"{PERCEPTUAL}scaling_layer.shift": perceptual.shift.clone(),
        f"{PERCEPTUAL}scaling_layer.scale": perceptual.scale.clone(),
    }
    entries = case.entries(keep=lambda name, _: scaling.get(name))
    judge_sizes = judge_config(below(case.keys, DISCRIMINATOR))
    judge_entries = below(entries, DISCRIMINATOR)
    codebook_entries = {n: tensor for n, tensor in entries.items() if not n.startswith("loss.")}
    return Parts(
        codebook=filled(
            MelVQGAN(codebook_config(case.config, num_mels=num_mels)),
            codebook_entries,
            MODEL_KEYS,
        ),
        perceptual=filled(
            perceptual, below(entries, PERCEPTUAL), perceptual_keys(perceptual.config)
        ),
        discriminator=filled(
            PatchDiscriminator(judge_sizes), judge_entries, discriminator_keys(judge_sizes)
        ),
        codebook_entries=codebook_entries,
        discriminator_entries=judge_entries,
    )
