"""Golden cases of SpecVQGAN's codebook model, its judges, and its full-size entry lists.

Axes: b clips, m mel bands, t frames, h and w rows and columns of the code grid.
"""

import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from earsight.checkpoints.blank import on_meta
from earsight.errors import InputError
from earsight.losses.adversarial import hinge_discriminator_loss, softplus_discriminator_loss
from earsight.models.mel_vqgan.discriminator import PatchDiscriminator
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.mel_vqgan.perceptual import LPAPS
from earsight.models.mel_vqgan.published import (
    MODEL_KEYS,
    discriminator_keys,
    perceptual_keys,
)
from earsight.models.vggishish.model import VGGishish
from earsight.models.vggishish.published import vggishish_keys
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Row, Value, compare
from earsight.parity.loading import filled, gradient_norms, own_by_published
from earsight.parity.runners import Runner, must_be
from earsight.parity.specvqgan_configs import (
    classifier_config,
    codebook_config,
    discriminator_config,
    perceptual_config,
)
from earsight.parity.specvqgan_keys import (
    run_classifier_keys,
    run_codebook_keys,
    run_transformer_keys,
)
from earsight.parity.specvqgan_losses import run_codebook_losses
from earsight.parity.specvqgan_tables import (
    run_class_names,
    run_dataset_item,
    run_frame_indices,
    run_mel_stats,
)
from earsight.parity.specvqgan_transformer import run_gpt, run_sampler


def run_codebook(case: Case) -> Iterator[Row]:
    """Encoder, quantiser and decoder, and gradients through the straight-through step."""
    mel = case.input("x")
    config = codebook_config(case.config, num_mels=mel.shape[2])
    entries, keys = case.entries(), MODEL_KEYS
    network = filled(MelVQGAN(config), entries, keys)
    encoded = network.encoder(mel)
    rebuilt = network(mel)
    quantized = rebuilt.quantized
    outputs: dict[str, Value | Callable[[], Value]] = {
        "encoded": encoded,
        "pre_quant": quantized.latent,
        "indices": quantized.codes,
        "quantised": quantized.quantized,
        "decoded": rebuilt.mel,
        "decoded_from_indices": lambda: network.decode_codes(quantized.codes),
        "codebook_loss": quantized.loss,
        "perplexity": quantized.perplexity,
        "grad_names": lambda: case.stored["grad_names"].tolist(),
    }
    if case.has_input("gout"):
        loss = (rebuilt.mel * case.input("gout")).mean() + quantized.loss
        outputs["loss_st"] = loss

        def norms() -> list[float]:
            network.zero_grad()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            return gradient_norms(network, keys, entries, case.stored["grad_names"])

        outputs["grad_norms"] = norms
    yield from compare(case, outputs)


def run_perceptual(case: Case) -> Iterator[Row]:
    """LPAPS: scaled input, five slices, contribution of each, distance."""
    mel, other = case.input("a"), case.input("b")
    must_be(case.config, eps=1e-10)
    network = LPAPS(perceptual_config(case.keys, num_mels=mel.shape[2]))
    entries = case.entries(keep=lambda name, _: scaling_entry(network, name))
    filled(network, entries, perceptual_keys(network.config))
    with torch.inference_mode():
        activations = network.activations(mel)
        outputs: dict[str, Value] = {
            "distance": network(mel, other),
            "per_layer": network.per_slice(mel, other),
            "scaled": network.scaled(mel),
        }
    outputs |= {f"slice{index + 1}": part for index, part in enumerate(activations)}
    yield from compare(case, outputs)


def scaling_entry(network: LPAPS, name: str) -> Tensor | None:
    """Shift and scale per mel band as the constructor makes them from the stored statistics."""
    parts = name.rpartition("scaling_layer.")
    if parts[1] == "" or parts[2] not in ("shift", "scale"):
        return None
    return (network.shift if parts[2] == "shift" else network.scale).clone()


def run_discriminator(case: Case) -> Iterator[Row]:
    """Patch logits with stored and with batch statistics, and both losses."""
    config = discriminator_config(case.config)
    entries, keys = case.entries(), discriminator_keys(config)
    network = filled(PatchDiscriminator(config), entries, keys)
    mel, other = case.input("x"), case.input("y")
    with torch.inference_mode():
        real, fake = network(mel), network(other)
    outputs: dict[str, Value] = {
        "eval_logits": real,
        "eval_logits_y": fake,
        "hinge": hinge_discriminator_loss(real, fake),
        "vanilla": softplus_discriminator_loss(real, fake),
        "train_logits": network.train()(mel),
    }
    after = network.state_dict()
    for name, own in own_by_published(keys, entries).items():
        outputs[f"after_{name}"] = after[own]
    yield from compare(case, outputs)


def run_classifier(case: Case) -> Iterator[Row]:
    """VGGish-ish: scores, pooled features and both cross-entropies."""
    config = classifier_config(case.config, case.keys)
    # on the meta device: initialising 130 million weights only to replace them takes seconds
    network = filled(on_meta(lambda: VGGishish(config)), case.entries(), vggishish_keys(config))
    with torch.inference_mode():
        scores, pooled = network(case.input("x")), network.pooled(case.input("x"))
    outputs: dict[str, Value | Callable[[], Value]] = {"logits": scores, "pooled": pooled}
    if case.has_input("target"):
        target = case.input("target")
        outputs["cross_entropy"] = functional.cross_entropy(scores, target)
        outputs["weighted_cross_entropy"] = lambda: functional.cross_entropy(
            scores, target, weight=class_weights(case, config.num_classes)
        )
    yield from compare(case, outputs)


def class_weights(case: Case, num_classes: int) -> Tensor:
    """Weights of the form abs(normal([classes]))+SHIFT."""
    recipe = case.spec["inputs"].get("class_weights")
    told = re.fullmatch(r"abs\(normal\(\[\w+\]\)\) ?\+ ?([\d.]+)", str(recipe))
    if told is None:
        raise InputError(f"no rule for class weights made like this: {recipe!r}")
    drawn = torch.as_tensor(fill.normal(case.seed, "class_weights", [num_classes]))
    return drawn.abs() + float(told[1])


KINDS: dict[str, Runner] = {
    "vqgan": run_codebook,
    "lpaps": run_perceptual,
    "discriminator": run_discriminator,
    "vggishish": run_classifier,
    "codebook_losses": run_codebook_losses,
    "gpt": run_gpt,
    "sampler": run_sampler,
    "dataset_item": run_dataset_item,
    "frame_indices": run_frame_indices,
    "mel_stats": run_mel_stats,
    "vggsound_classes": run_class_names,
    "codebook.keys": run_codebook_keys,
    "transformer.keys": run_transformer_keys,
    "vggishish.keys": run_classifier_keys,
}
