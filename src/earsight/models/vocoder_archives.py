"""The weight files of MelGAN: SpecVQGAN's vocoder, its training set, the speech models.

Sources: official repositories v-iashin/SpecVQGAN and descriptinc/melgan-neurips.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap
from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.melgan.config import DiscriminatorConfig
from earsight.models.melgan.discriminator import MultiScaleDiscriminator
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.melgan.published import (
    config_from_entries,
    discriminator_keys,
    generator_keys,
)
from earsight.models.specvqgan_archives import BASE_URL, MEL, VGGSOUND_LICENCE

_REPOSITORY = "https://raw.githubusercontent.com/v-iashin/SpecVQGAN/main/"
_SPEECH = "https://raw.githubusercontent.com/descriptinc/melgan-neurips/master/models/"
_OPTIMISER = "state of an optimiser, not a network: nothing to convert; it serves to go on training"


def _generator_keys(entries: Mapping[str, Tensor]) -> KeyMap:
    return generator_keys(config_from_entries(entries))


GENERATOR = PublishedPart(
    name="vocoder",
    family="melgan",
    keys=_generator_keys,
    config=config_from_entries,
    build=MelGANGenerator,
)
DISCRIMINATOR = PublishedPart(
    name="discriminator",
    family="melgan_discriminator",
    keys=lambda _: discriminator_keys(DiscriminatorConfig()),
    config=lambda _: DiscriminatorConfig(),
    build=MultiScaleDiscriminator,
)


def _training_file(name: str, file: str, md5: str, summary: str) -> PublishedWeights:
    parts = {"netG": (GENERATOR,), "netD": (DISCRIMINATOR,)}.get(file, ())
    return PublishedWeights(
        name=f"melgan-vggsound-{name}",
        url=f"{BASE_URL}melgan_ckpt/{file}.pt",
        family=parts[0].family if parts else "optimiser",
        md5=md5,
        licence=VGGSOUND_LICENCE,
        summary=summary,
        frontend=MEL,
        parts=parts,
        notes="" if parts else _OPTIMISER,
    )


def _speech(name: str, file: str, corpus: str) -> PublishedWeights:
    return PublishedWeights(
        name=f"melgan-{name}",
        url=f"{_SPEECH}{file}.pt",
        family="melgan",
        licence="code MIT; no licence is stated for the weights",
        summary=f"Vocoder for speech, trained on {corpus}.",
        frontend="melgan_speech_mel",
        parts=(GENERATOR,),
        notes="takes another spectrogram than SpecVQGAN's; no hash is published",
    )


MELGAN_VGGSOUND = PublishedWeights(
    name="melgan-vggsound",
    url=f"{_REPOSITORY}vocoder/logs/vggsound/best_netG.pt",
    family="melgan",
    licence=VGGSOUND_LICENCE,
    summary="Vocoder for SpecVQGAN's spectrograms, trained on VGGSound.",
    frontend=MEL,
    parts=(GENERATOR,),
    notes="kept in the repository itself; no hash is published",
)
VOCODERS = (
    MELGAN_VGGSOUND,
    _training_file(
        "generator-last",
        "netG",
        "e9e3ea89122d31e3dec25f585d215335",
        "Generator of the last training step.",
    ),
    _training_file(
        "discriminator",
        "netD",
        "e61cd6da221d1d3b423c70c20660361c",
        "Discriminators of the last training step.",
    ),
    _training_file(
        "generator-optimiser",
        "optG",
        "85ed142485ba81bb3c5727ae0b3fbb84",
        "State of the generator's Adam.",
    ),
    _training_file(
        "discriminator-optimiser",
        "optD",
        "50804e7d0c9453a29f374dba73787680",
        "State of the discriminators' Adam.",
    ),
    _speech("ljspeech", "linda_johnson", "LJ Speech (one speaker)"),
    _speech("multi-speaker", "multi_speaker", "many speakers"),
)
