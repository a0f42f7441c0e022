"""Sound networks behind one interface: waves of one length to features and class scores.

Axes: b sounds, s samples, t frames, m mel bands, d features, k classes, f steps in time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.checkpoints.narrow import is_dict
from earsight.checkpoints.native import NativeFolder
from earsight.errors import InputError
from earsight.frontends import htsat_mel, kaldi_fbank, passt_mel
from earsight.frontends.fbank_statistics import AUDIOSET, FbankStatistics, fbank_statistics
from earsight.generate.bundles import build_network
from earsight.models.ast.config import AstConfig
from earsight.models.ast.model import Ast
from earsight.models.audiomae.config import AudioTaggerConfig, MaskedAutoencoderConfig
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.htsat.config import HtsatConfig
from earsight.models.htsat.model import Htsat
from earsight.models.passt.config import PasstConfig
from earsight.models.passt.model import Passt
from earsight.models.ssast.config import SsastConfig, SsastTaggerConfig
from earsight.models.ssast.model import Ssast, SsastTagger
from earsight.nn.two_token_transformer import NUM_CLASS_TOKENS
from earsight.settings import from_plain

Labels = Literal["many", "one"]
ShortSounds = Literal["padding", "repeat"]
FAMILIES = ("ast", "ssast_tagger", "ssast", "audiomae_tagger", "audiomae", "htsat", "passt")
"""Families of model folders that can listen."""
WITHOUT_CLASSES = ("ssast", "audiomae")
"""Those of them that were pre-trained only and give features alone."""
ONE_LABEL = ("esc50", "speech_commands_v1", "speech_commands_v2", "voxceleb", "voxceleb_speakers")
"""Data sets, by the name of their statistics, whose clips have one class each."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a network makes of some sounds; `steps` are class probabilities at equal steps."""

    features: Float[Tensor, "b d"]
    logits: Float[Tensor, "b k"] | None
    steps: Float[Tensor, "b f k"] | None = None


class Listener(ABC):
    """A network with its front end: mono waves of one length, at `rate_hz`, go in.

    `window_samples` is the longest sound it hears at once and `min_samples` the shortest.
    `labels` says whether a sound has many classes or one. `num_classes` is 0 for a network
    without classes. `step_seconds` is the distance of its steps in time, None without them.
    """

    rate_hz: int
    window_samples: int
    min_samples: int
    num_classes: int
    labels: Labels
    step_seconds: float | None

    @abstractmethod
    def hear(self, wave: Float[Tensor, "b s"]) -> Hearing:
        """Features and scores of waves whose length lies within the two limits."""

    def probabilities(self, logits: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Of each class by itself where sounds have many, else of one class among all."""
        return logits.sigmoid() if self.labels == "many" else logits.softmax(dim=1)


class FbankListener(Listener):
    """AST, SSAST and Audio-MAE on `frontends.kaldi_fbank`.

    A sound shorter than a window is padded behind its spectrogram as published, or (`short`) first
    repeated, where the network was trained so.
    """

    def __init__(
        self,
        judge: Callable[[Tensor], Hearing],
        statistics: FbankStatistics,
        *,
        num_classes: int,
        labels: Labels,
        short: ShortSounds = "padding",
    ) -> None:
        settings = kaldi_fbank.PUBLISHED
        self.rate_hz = settings.rate_hz
        self.min_samples = settings.window_samples
        self.window_samples = (
            settings.window_samples + (statistics.num_frames - 1) * settings.hop_samples
        )
        self.num_classes, self.labels = num_classes, labels
        self.step_seconds = None
        self._judge, self._statistics, self._short = judge, statistics, short

    def hear(self, wave: Float[Tensor, "b s"]) -> Hearing:
        """Features and scores."""
        if self._short == "repeat":
            wave = _repeated(wave, self.window_samples)
        return self._judge(kaldi_fbank.network_input(wave, self._statistics))


class HtsatListener(Listener):
    """HTS-AT, which also scores every instant.

    A window is a whole picture, or `clip_samples` where it was trained on clips of that length. A
    shorter sound is stretched as published, or (`short`) first repeated, or silent behind its end.
    """

    def __init__(
        self,
        network: Htsat,
        mel: htsat_mel.HtsatMelConfig,
        *,
        short: ShortSounds | None = None,
        clip_samples: int | None = None,
    ) -> None:
        config = network.config
        self.rate_hz = mel.rate_hz
        self.min_samples = mel.fft_samples // 2 + 1
        whole = clip_samples or (config.max_frames - 1) * mel.hop_samples
        self.window_samples = max(self.min_samples, whole)
        self.num_classes, self.labels = config.num_classes, config.labels
        # the network's own resolution: patches, halved between stages
        frames = config.strides[1] * 2 ** (config.num_stages - 1)
        self.step_seconds = frames * mel.hop_samples / mel.rate_hz
        self._network, self._mel, self._frames, self._short = network, mel, frames, short

    def hear(self, wave: Float[Tensor, "b s"]) -> Hearing:
        """Features, scores, and probabilities at every step."""
        own_frames = 1 + wave.shape[1] // self._mel.hop_samples
        if self._short == "repeat":
            wave = _repeated(wave, self.window_samples)
        elif self._short == "padding":
            wave = functional.pad(wave, (0, max(0, self.window_samples - wave.shape[1])))
        mel = htsat_mel.log_mel(wave, self._mel)[:, : self._network.config.max_frames]
        heard = self._network(mel)
        steps = self._at_steps(heard.framewise, min(own_frames, mel.shape[1]), mel.shape[1])
        return Hearing(heard.latent, heard.logits, steps)

    def _at_steps(
        self, framewise: Float[Tensor, "b t k"], num_frames: int, num_heard: int
    ) -> Tensor:
        """The middle of every step of the sound itself; all heard frames were stretched to `t`."""
        places = torch.arange(self._frames // 2, num_frames, self._frames)
        if not len(places):
            places = torch.tensor([num_frames // 2])
        stretch = (framewise.shape[1] - 1) / max(1, num_heard - 1)
        return framewise[:, (places * stretch).round().long().to(framewise.device)]


class PasstListener(Listener):
    """PaSST, which hears a sound at its own length."""

    def __init__(self, network: Passt) -> None:
        config = network.config
        self.rate_hz = passt_mel.RATE_HZ
        shortest = (config.patch - 1) * passt_mel.HOP_SAMPLES + 1  # one patch of frames
        self.min_samples = max(passt_mel.MIN_SAMPLES, shortest)
        self.window_samples = min(passt_mel.CLIP_SAMPLES, config.max_frames * passt_mel.HOP_SAMPLES)
        self.num_classes, self.labels = config.num_classes, "many"
        self.step_seconds = None
        self._network = network

    def hear(self, wave: Float[Tensor, "b s"]) -> Hearing:
        """Features and scores."""
        heard = self._network(passt_mel.log_mel(wave))
        return Hearing(heard.features, heard.logits)


def build_listener(folder: NativeFolder, device: torch.device) -> Listener:
    """The network of a model folder with the front end it was trained on.

    The folder's `extra` may tell `statistics` (a published name, or mean and spread), `labels`
    ("many" or "one") and for HTS-AT `mel`. Raises InputError for a family that cannot listen.
    """
    extra = folder.extra
    match folder.family:
        case "ast":
            ast = build_network(Ast, AstConfig, folder, "ast", device)
            return _tagger(ast, ast.config.num_frames, ast.config.num_classes, extra)
        case "ssast_tagger":
            ssast = build_network(SsastTagger, SsastTaggerConfig, folder, "ssast_tagger", device)
            return _tagger(ssast, ssast.config.num_frames, ssast.config.num_classes, extra)
        case "audiomae_tagger":
            mae = build_network(AudioTagger, AudioTaggerConfig, folder, "audiomae_tagger", device)
            frames = mae.config.encoder.num_frames
            return _tagger(mae, frames, mae.config.num_classes, extra)
        case "audiomae":
            return _pretrained_audiomae(folder, device)
        case "ssast":
            return _pretrained_ssast(folder, device)
        case "htsat":
            return HtsatListener(
                build_network(Htsat, HtsatConfig, folder, "htsat", device),
                _htsat_mel(extra),
                short=_short(extra) if "short_clips" in extra else None,
                clip_samples=extra.get("clip_samples"),
            )
        case "passt":
            return PasstListener(build_network(Passt, PasstConfig, folder, "passt", device))
        case other:
            raise InputError(
                f"{folder.path} is a {other} network, which hears no sound: expected one of "
                f"{', '.join(FAMILIES)}"
            )


def folder_statistics(extra: Mapping[str, Any], *, num_frames: int) -> FbankStatistics:
    """Statistics a folder tells, by name or as mean and spread; AudioSet's where it does not."""
    told = extra.get("statistics")
    if told is None:
        return replace(AUDIOSET, num_frames=num_frames)
    if is_dict(told):
        return from_plain(FbankStatistics, {**told, "num_frames": num_frames})
    return replace(fbank_statistics(str(told)), num_frames=num_frames)


def _tagger(
    network: Ast | SsastTagger | AudioTagger,
    num_frames: int,
    num_classes: int,
    extra: Mapping[str, Any],
) -> Listener:
    def judge(fbank: Tensor) -> Hearing:
        tags = network(fbank)
        return Hearing(tags.features, tags.logits)

    return FbankListener(
        judge,
        folder_statistics(extra, num_frames=num_frames),
        num_classes=num_classes,
        labels=_labels(extra),
        short=_short(extra),
    )


def _pretrained_ssast(folder: NativeFolder, device: torch.device) -> Listener:
    network = build_network(Ssast, SsastConfig, folder, "ssast", device)

    def judge(fbank: Tensor) -> Hearing:
        # pooled as the fine-tuned network pools by default
        return Hearing(network.encoder(fbank)[:, NUM_CLASS_TOKENS:].mean(dim=1), None)

    statistics = folder_statistics(folder.extra, num_frames=network.config.num_frames)
    return FbankListener(
        judge, statistics, num_classes=0, labels="many", short=_short(folder.extra)
    )


def _pretrained_audiomae(folder: NativeFolder, device: torch.device) -> Listener:
    network = build_network(MaskedAutoencoder, MaskedAutoencoderConfig, folder, "audiomae", device)
    encoder = network.config.encoder
    # the upper third of the blocks, as the published code averages blocks 9 to 11 of 12
    after = encoder.num_layers * 3 // 4 - 1

    def judge(fbank: Tensor) -> Hearing:
        tokens = network.features(fbank, after_block=after)
        return Hearing(tokens[:, 1:].mean(dim=1), None)

    statistics = folder_statistics(folder.extra, num_frames=encoder.num_frames)
    return FbankListener(
        judge, statistics, num_classes=0, labels="many", short=_short(folder.extra)
    )


def _repeated(wave: Float[Tensor, "b s"], wanted: int) -> Float[Tensor, "b n"]:
    """A sound over and over, cut to `wanted` samples; a longer one as it is."""
    found = wave.shape[1]
    return wave if found >= wanted else wave.repeat(1, -(-wanted // found))[:, :wanted]


def _short(extra: Mapping[str, Any]) -> ShortSounds:
    told = extra.get("short_clips", "padding")
    if told not in ("padding", "repeat"):
        raise InputError(f"the folder's short_clips must be 'padding' or 'repeat', found {told!r}")
    return "repeat" if told == "repeat" else "padding"


def _labels(extra: Mapping[str, Any]) -> Labels:
    told = extra.get("labels")
    if told is not None and told not in ("many", "one"):
        raise InputError(f"the folder's labels must be 'many' or 'one', found {told!r}")
    one = told == "one" or (told is None and extra.get("statistics") in ONE_LABEL)
    return "one" if one else "many"


def _htsat_mel(extra: Mapping[str, Any]) -> htsat_mel.HtsatMelConfig:
    told = extra.get("mel")
    if is_dict(told):
        return from_plain(htsat_mel.HtsatMelConfig, told)
    match told:
        case None | "audioset":
            return htsat_mel.audioset()
        case "speech_commands":
            return htsat_mel.speech_commands()
        case other:
            raise InputError(
                f"the folder's mel must be audioset, speech_commands or sizes, found {other!r}"
            )
