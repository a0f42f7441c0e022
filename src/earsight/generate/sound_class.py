"""What a sound is: class probabilities and features of spectrograms of any length.

Axes: b clips, m mel bands, t frames, k classes, d features.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.native import NativeFolder
from earsight.data.corpora.vggsound import class_names as vggsound_names
from earsight.data.labelled_clips import repeated
from earsight.errors import InputError, WeightsError
from earsight.frontends.specvqgan_mel import MODEL_FRAMES, NUM_MELS, normalise_bands
from earsight.generate.bundles import build_network, open_bundle
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import SMALLEST, Melception
from earsight.models.vggishish.config import VGGishishConfig
from earsight.models.vggishish.model import VGGishish

FAMILIES = ("melception", "vggishish")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a classifier makes of some sounds: probabilities that add up to 1, and features.

    Features are Melception's last averages, and VGGish-ish's last hidden layer.
    """

    probabilities: Float[Tensor, "b k"]
    features: Float[Tensor, "b d"]


@runtime_checkable
class ClassNetwork(Protocol):
    """A classifier of standardised spectrograms, whatever its family."""

    def __call__(self, mel: Float[Tensor, "b m t"]) -> Heard:
        """Judge standardised spectrograms of one length."""
        ...


class SoundClassifier:
    """A trained classifier with its class names; made by `open_sound_classifier`.

    Sounds shorter than `shortest_frames` are repeated up to it. Longer ones than the 848 frames of
    the published classifiers are judged in windows of that length, the last one flush with the
    end, and the windows averaged. Empty `class_names` mean that the folder does not tell them.
    """

    def __init__(
        self,
        network: ClassNetwork,
        *,
        name: str,
        sha256: str,
        class_names: tuple[str, ...],
        shortest_frames: int,
        device: torch.device,
    ) -> None:
        self.name, self.sha256, self.class_names = name, sha256, class_names
        self.shortest_frames, self.device = shortest_frames, device
        self._network = network

    def judge(
        self,
        mels: Float[Tensor, "b m t"] | Sequence[Float[Tensor, "m _"]],
        *,
        batch: int = 16,
    ) -> Heard:
        """Judge spectrograms in [0, 1], of uneven lengths where they come as a list.

        Results are on the CPU and in order. Raises InputError for no sounds, another number of
        bands, or values that are not finite.
        """
        windows: list[Tensor] = []
        owners: list[int] = []
        for place, mel in enumerate(mels):
            _refuse_unusable(mel, place)
            found = _windows(repeated(mel.float(), max(self.shortest_frames, mel.shape[1])))
            windows += found
            owners += [place] * len(found)
        if not windows:
            raise InputError("no sounds to judge: give at least one spectrogram")
        heard = self._judge_windows(windows, batch=batch)
        owner = torch.tensor(owners)
        means = [
            torch.stack([values[owner == place].mean(dim=0) for place in range(owners[-1] + 1)])
            for values in (heard.probabilities, heard.features)
        ]
        return Heard(means[0], means[1])

    def class_score(
        self, mels: Float[Tensor, "b m t"] | Sequence[Float[Tensor, "m _"]], class_name: str
    ) -> Float[Tensor, " b"]:
        """Probability of a class for each sound; raises InputError for a name it does not know."""
        return self.judge(mels).probabilities[:, self.class_index(class_name)]

    def class_index(self, class_name: str) -> int:
        """Place of a class; raises InputError with the nearest names."""
        if class_name in self.class_names:
            return self.class_names.index(class_name)
        near = difflib.get_close_matches(class_name, self.class_names, n=3, cutoff=0.4)
        raise InputError(
            f"{self.name} does not know the class '{class_name}': "
            + (f"nearest are {', '.join(near)}" if near else f"it knows {len(self.class_names)}")
        )

    @torch.inference_mode()
    def _judge_windows(self, windows: Sequence[Tensor], *, batch: int) -> Heard:
        """Windows of one length together, `batch` at a time; results in their order."""
        by_length: dict[int, list[int]] = {}
        for place, window in enumerate(windows):
            by_length.setdefault(window.shape[1], []).append(place)
        order: list[int] = []
        parts: list[Heard] = []
        for places in by_length.values():
            for first in range(0, len(places), batch):
                chosen = places[first : first + batch]
                mel = torch.stack([windows[place] for place in chosen]).to(self.device)
                parts.append(self._network(normalise_bands(mel)))
                order += chosen
        back = torch.tensor(order).argsort()
        return Heard(
            torch.cat([part.probabilities.float().cpu() for part in parts])[back],
            torch.cat([part.features.float().cpu() for part in parts])[back],
        )


def open_sound_classifier(source: str | Path, *, device: str = "cpu") -> SoundClassifier:
    """Open a Melception or VGGish-ish: a model folder, a part of one, or converted weights by name.

    Of a model's networks the one that is kept as its judge is taken, else a Melception.
    Raises InputError where there is neither, WeightsError for weights that do not fit.
    """
    bundle, target = open_bundle(source), torch.device(device)
    named = [part for name, part in bundle.parts.items() if name == "judge"]
    parts = [
        part
        for family in FAMILIES
        for part in named or bundle.parts.values()
        if part.family == family
    ]
    if not parts:
        raise InputError(
            f"{source} holds {', '.join(bundle.parts)} and no sound classifier: give a Melception "
            "or VGGish-ish, such as RUN/model of their recipes"
        )
    return build_classifier(parts[0], name=Path(source).name, device=target)


def build_classifier(part: NativeFolder, *, name: str, device: torch.device) -> SoundClassifier:
    """The classifier in a folder; raises WeightsError for weights that do not fit."""
    if part.family == "melception":
        inception = build_network(Melception, MelceptionConfig, part, "melception", device).eval()
        network: ClassNetwork = _MelceptionEars(inception)
        num_classes, shortest = inception.config.num_classes, SMALLEST
    else:
        vgg = build_network(VGGishish, VGGishishConfig, part, "vggishish", device).eval()
        network = _VGGishishEars(vgg)
        num_classes, shortest = vgg.config.num_classes, 2 ** (len(vgg.config.levels) - 1)
    return SoundClassifier(
        network,
        name=name,
        sha256=part.sha256,
        class_names=class_names_of(part, num_classes),
        shortest_frames=shortest,
        device=device,
    )


@dataclass(frozen=True, slots=True)
class _MelceptionEars:
    network: Melception

    def __call__(self, mel: Float[Tensor, "b m t"]) -> Heard:
        found = self.network.features(mel)
        return Heard(found.scores.softmax(dim=1), found.features)


@dataclass(frozen=True, slots=True)
class _VGGishishEars:
    network: VGGishish

    def __call__(self, mel: Float[Tensor, "b m t"]) -> Heard:
        features = self.network.hidden(mel)
        return Heard(self.network.head(features).softmax(dim=1), features)


def _windows(mel: Float[Tensor, "m t"]) -> list[Tensor]:
    """The sound in pieces of at most 848 frames that leave none out; the last two may overlap."""
    frames = mel.shape[1]
    if frames <= MODEL_FRAMES:
        return [mel]
    starts = [*range(0, frames - MODEL_FRAMES, MODEL_FRAMES), frames - MODEL_FRAMES]
    return [mel[:, start : start + MODEL_FRAMES] for start in starts]


def _refuse_unusable(mel: Float[Tensor, "m t"], place: int) -> None:
    if mel.shape[0] != NUM_MELS or not bool(mel.isfinite().all()):
        raise InputError(
            f"sound {place}: expected {NUM_MELS} bands of finite numbers in [0, 1], got "
            f"{mel.shape[0]} bands" + ("" if mel.isfinite().all() else ", some not finite")
        )


def class_names_of(part: NativeFolder, num_classes: int) -> tuple[str, ...]:
    """Names that a classifier's folder tells; VGGSound's where it is silent and their number fits.

    Raises WeightsError for another number of names than of classes.
    """
    listed = cast(list[Any], part.extra.get("class_names") or [])
    names = tuple(str(name) for name in listed)
    if not names and num_classes == len(vggsound_names()):
        names = tuple(vggsound_names())
    if names and len(names) != num_classes:
        raise WeightsError(f"{part.path}: {len(names)} class names for {num_classes} classes")
    return names
