"""Golden cases of MelGAN: generator, discriminator with its losses, and the speech spectrogram."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from earsight.checkpoints.keymap import load_strict
from earsight.frontends import melgan_speech_mel
from earsight.losses.vocoder import adversarial_loss, discriminator_loss, feature_matching_loss
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig
from earsight.models.melgan.discriminator import MultiScaleDiscriminator
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.melgan.published import (
    config_from_entries,
    discriminator_config_from_entries,
    discriminator_keys,
    generator_keys,
)
from earsight.parity import fill
from earsight.parity.cases import Case
from earsight.parity.compare import Outputs, Row, compare, equal, number
from earsight.parity.loading import account_row, filled, gradient_norms, meta_entries
from earsight.parity.runners import Runner, must_be


def run_generator(case: Case) -> Iterator[Row]:
    """Wave of the generator, and the wave before its tanh."""
    config = generator_config(case.config)
    generator = filled(MelGANGenerator(config), case.entries(), generator_keys(config))
    with torch.inference_mode():
        raw = generator.before_tanh(case.input("mel"))
        outputs: dict[str, Any] = {"wave": generator(case.input("mel")), "pre_tanh": raw}
    outputs |= {name: raw for name in case.stored if name.startswith("pre_tanh_")}
    yield from compare(case, outputs)


def generator_config(official: Mapping[str, Any]) -> MelGANConfig:
    """Our sizes from the official argument names."""
    return MelGANConfig(
        num_mels=official["input_size"],
        channels=official["ngf"],
        num_residual_layers=official["n_residual_layers"],
        ratios=tuple(official["ratios"]),
    )


def run_generator_keys(case: Case) -> Iterator[Row]:
    """Strict load of a published generator at full size."""
    entries = meta_entries(case)
    config = config_from_entries(entries)
    network = MelGANGenerator(config).to("meta")
    yield from account_row(case, [load_strict(network, entries, generator_keys(config))])


def run_discriminator(case: Case) -> Iterator[Row]:
    """Features of all scales, the losses of both steps, and their gradients."""
    config, official = discriminator_config(case.config), case.config
    entries, keys = case.entries(), discriminator_keys(config)
    network = filled(MultiScaleDiscriminator(config), entries, keys)
    real, fake = case.input("real"), case.input("fake").requires_grad_()
    judged_real, judged_fake = network(real), network(fake)
    outputs: dict[str, Any] = {
        f"d{scale}_{layer}": features
        for scale, layers in enumerate(judged_real.features)
        for layer, features in enumerate(layers)
    }
    of_discriminator = discriminator_loss(judged_real.logits, judged_fake.logits)
    of_discriminator.backward(retain_graph=True)  # pyright: ignore[reportUnknownMemberType]
    norms = {
        name: gradient_norms(network, keys, entries, [name])[0]
        for name in fill.table(case.spec.get("grad_norms_of_loss_D"))
    }
    adversarial = adversarial_loss(judged_fake.logits)
    matching = feature_matching_loss(judged_real.features, judged_fake.features)
    of_generator = adversarial + float(official.get("lambda_feat", 10)) * matching
    (gradient,) = torch.autograd.grad(of_generator, fake)
    outputs["losses"] = torch.stack([of_discriminator, adversarial, matching, of_generator])
    outputs["grad_fake"] = gradient
    yield from compare(case, outputs)
    for name, norm in norms.items():
        yield number(case, f"grad norm {name}", norm, case.spec["grad_norms_of_loss_D"][name])
    if "grad_fake_norm" in case.spec:
        yield number(
            case, "grad_fake_norm", gradient.square().sum().sqrt(), case.spec["grad_fake_norm"]
        )


def discriminator_config(official: Mapping[str, Any]) -> DiscriminatorConfig:
    """Our sizes from the official argument names."""
    return DiscriminatorConfig(
        num_scales=official["num_D"],
        channels=official["ndf"],
        num_layers=official["n_layers"],
        factor=official["downsampling_factor"],
    )


def run_discriminator_keys(case: Case) -> Iterator[Row]:
    """Strict load of published discriminators at full size."""
    entries = meta_entries(case)
    config = discriminator_config_from_entries(entries)
    network = MultiScaleDiscriminator(config).to("meta")
    yield from account_row(case, [load_strict(network, entries, discriminator_keys(config))])


def run_speech_mel(case: Case) -> Iterator[Row]:
    """Log-mel of the original speech MelGAN, and the shape of its stored filters."""
    must_be(
        case.config,
        n_fft=melgan_speech_mel.FFT_SAMPLES,
        win=melgan_speech_mel.FFT_SAMPLES,
        hop=melgan_speech_mel.HOP_SAMPLES,
        sr=melgan_speech_mel.RATE_HZ,
        n_mels=melgan_speech_mel.NUM_MELS,
        fmin=0.0,
        fmax=11025,
        floor=melgan_speech_mel.MEL_FLOOR,
        log="log10",
    )
    wave = case.input("wave")[:, 0]
    outputs: Outputs = {"mel": melgan_speech_mel.speech_log_mel(wave)}
    yield from compare(case, outputs)
    if "mel_basis" in case.spec.get("keys", {}):
        shape = list(melgan_speech_mel.mel_filters(torch.device("cpu")).shape)
        yield equal(case, "mel_basis shape", shape, case.keys["mel_basis"])


KINDS: dict[str, Runner] = {
    "melgan_generator": run_generator,
    "melgan_generator.keys": run_generator_keys,
    "melgan_discriminator": run_discriminator,
    "melgan_discriminator.keys": run_discriminator_keys,
    "melgan_audio2mel": run_speech_mel,
}
