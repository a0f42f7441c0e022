"""Opens models: bundled ones, own folders, converted official weights, folders on the hub."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch

from earsight.checkpoints.fetch import cache_dir
from earsight.checkpoints.native import Bundle, NativeFolder
from earsight.errors import InputError, WeightsError
from earsight.generate.bundles import BUNDLED, CONVERTED, build_network, open_bundle
from earsight.generate.codec import Codec
from earsight.generate.conditions import VisualKind
from earsight.generate.decode import GRIFFIN_LIM, Compute, GriffinLimVocoder, MelGANVocoder, Vocoder
from earsight.generate.logits import SamplingConfig
from earsight.generate.look import Look
from earsight.generate.sound_class import SoundClassifier, build_classifier
from earsight.generate.sound_model import SoundModel
from earsight.generate.video_to_sound import VideoToSound
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.sight.config import SightConfig
from earsight.models.sight.model import SightTower
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.engine import TokenEngine
from earsight.models.token_gpt.model import TokenGPT
from earsight.nn.packed_linear import Precision
from earsight.settings import from_plain

VOCODER_NAME = "melgan-vggsound"
VISUAL_KINDS: tuple[VisualKind, ...] = (
    "motion", "sight", "resnet50", "bn_inception", "noise", "none",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How a model is to run.

    `precision` is that of the transformer; decoder and vocoder run in bf16 with bf16 and int8.
    `vocoder`: "auto" takes what the model's folder prefers: its own, else the published MelGAN
    where it is installed, else Griffin-Lim; a name or folder takes that one's vocoder. `visual`
    overrides what the folder says.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    vocoder: str = "auto"
    visual: VisualKind | None = None

    @property
    def compute(self) -> Compute:
        """Arithmetic of decoder and vocoder."""
        return "fp32" if self.precision == "fp32" else "bf16"


def load(
    source: str | Path = BUNDLED,
    *,
    device: str = "cpu",
    precision: Precision = "fp32",
    vocoder: str = "auto",
    visual: VisualKind | None = None,
) -> SoundModel:
    """Open a model: "bundled", a folder, converted official weights, or `owner/name@revision`.

    Options as in `LoadOptions`. Raises InputError for an unknown source or option, WeightsError for
    weights that do not fit.
    """
    pipeline = load_pipeline(
        source, device=device, precision=precision, vocoder=vocoder, visual=visual
    )
    return SoundModel(pipeline, pipeline.codec)


def load_pipeline(
    source: str | Path = BUNDLED,
    *,
    device: str = "cpu",
    precision: Precision = "fp32",
    vocoder: str = "auto",
    visual: VisualKind | None = None,
) -> VideoToSound:
    """Open the picture-to-sound pipeline alone; arguments and errors as in `load`."""
    options = LoadOptions(device=device, precision=precision, vocoder=vocoder, visual=visual)
    bundle = open_bundle(source)
    if "transformer" not in bundle.parts:
        raise InputError(
            f"{source} holds {', '.join(bundle.parts)} and no transformer: it can code sound "
            "('earsight codec', load_codec), not make it from a picture"
        )
    target = usable_device(device)
    codebook = _codebook(bundle, target)
    transformer = build_network(
        TokenGPT, TokenGPTConfig, bundle.parts["transformer"], "token_gpt", target
    )
    if transformer.config.num_codes != codebook.config.num_codes:
        raise WeightsError(
            f"{bundle.path}: the transformer speaks {transformer.config.num_codes} codes, the "
            f"codebook {codebook.config.num_codes}: they do not belong together"
        )
    extra = bundle.extra
    kind = visual or _visual(extra, transformer.config)
    return VideoToSound(
        name=_name(source),
        weights_sha256=_joint_hash(bundle),
        codebook_sha256=_codebook_part(bundle).sha256,
        codebook=codebook,
        engine=TokenEngine(transformer, precision=precision),
        vocoder=_vocoder(bundle, options, target),
        visual=kind,
        class_names=tuple(str(name) for name in _listed(extra.get("class_names"))),
        look=_look(bundle, target) if kind == "sight" else None,
        ranker=_ranker(bundle, target),
        lead_frames=int(extra.get("lead_frames", 0)),
        default_sampling=from_plain(SamplingConfig, extra.get("sampling", {})),
        compute=options.compute,
    )


def load_codec(
    source: str | Path = BUNDLED,
    *,
    device: str = "cpu",
    precision: Literal["fp32", "bf16"] = "fp32",
    vocoder: str = "auto",
) -> Codec:
    """Open a spectrogram codebook and a vocoder as a codec; raises as `load` does."""
    options = LoadOptions(device=device, precision=precision, vocoder=vocoder)
    bundle = open_bundle(source)
    target = usable_device(device)
    return Codec(
        name=_name(source),
        weights_sha256=_codebook_part(bundle).sha256,
        codebook=_codebook(bundle, target),
        vocoder=_vocoder(bundle, options, target),
        compute=options.compute,
    )


def _codebook_part(bundle: Bundle) -> NativeFolder:
    for name in ("codebook", "mel_vqgan"):
        if name in bundle.parts:
            return bundle.parts[name]
    raise InputError(f"{bundle.path} holds {', '.join(bundle.parts)} and no spectrogram codebook")


def _codebook(bundle: Bundle, device: torch.device) -> MelVQGAN:
    return build_network(MelVQGAN, MelVQGANConfig, _codebook_part(bundle), "mel_vqgan", device)


def _vocoder(bundle: Bundle, options: LoadOptions, device: torch.device) -> Vocoder:
    wanted = options.vocoder
    part = bundle.parts.get("vocoder")
    if wanted == "auto" and bundle.extra.get("vocoder") == GRIFFIN_LIM:
        wanted = GRIFFIN_LIM
    if wanted == GRIFFIN_LIM:
        return GriffinLimVocoder()
    if wanted != "auto":
        parts = open_bundle(wanted).parts
        part = parts.get("vocoder", next(iter(parts.values())))
    elif part is None and (cache_dir() / CONVERTED / VOCODER_NAME).is_dir():
        part = next(iter(open_bundle(VOCODER_NAME).parts.values()))
    if part is None:
        return GriffinLimVocoder()
    generator = build_network(MelGANGenerator, MelGANConfig, part, "melgan", device)
    return MelGANVocoder(generator, compute=options.compute)


def _look(bundle: Bundle, device: torch.device) -> Look:
    if "sight" not in bundle.parts:
        raise InputError(
            f"{bundle.path} sees through an image tower and holds none (parts: "
            f"{', '.join(bundle.parts)}): put the folder of the tower into it, named 'sight'"
        )
    return open_look(bundle.parts["sight"], device)


def _ranker(bundle: Bundle, device: torch.device) -> SoundClassifier | None:
    if "ranker" not in bundle.parts:
        return None
    return build_classifier(bundle.parts["ranker"], name="ranker", device=device)


def open_look(part: NativeFolder, device: torch.device) -> Look:
    """The image tower of a model folder, with the names of its classes."""
    tower = build_network(SightTower, SightConfig, part, "sight", device)
    names = tuple(str(name) for name in _listed(part.extra.get("class_names")))
    if len(names) != tower.config.num_classes:
        raise WeightsError(
            f"{part.path}: {len(names)} class names for {tower.config.num_classes} classes"
        )
    return Look(tower, names)


def _visual(extra: Mapping[str, Any], config: TokenGPTConfig) -> VisualKind:
    if not config.has_features:
        return "none"
    kind = extra.get("visual")
    if kind not in VISUAL_KINDS:
        raise InputError(
            f"the folder does not say which picture features the model takes (found {kind!r}): "
            "give visual= (--visual), one of motion, sight, resnet50, bn_inception, noise"
        )
    return kind


def usable_device(name: str) -> torch.device:
    """The device of a name; raises InputError for one that cannot be used here."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device '{name}' cannot be used here ({reason}): 'earsight doctor' lists devices"
        ) from error
    return device


def _joint_hash(bundle: Bundle) -> str:
    """One hash for all parts, so that provenance names the whole model."""
    import hashlib

    text = "".join(f"{name}:{part.sha256}\n" for name, part in sorted(bundle.parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _name(source: str | Path) -> str:
    return source if isinstance(source, str) and "/" not in source else Path(source).name


def _listed(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []
