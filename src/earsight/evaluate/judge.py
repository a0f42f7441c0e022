"""The network that judges sounds: features for distances, class scores for relevance.

Axes: b clips, n clips of a set, m mel bands, t frames, d features, k classes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import EarsightError, InputError
from earsight.evaluate.card import JudgeName, LeftOut
from earsight.frontends.specvqgan_mel import (
    MODEL_FRAMES,
    centre_crop,
    from_model,
    normalise_bands,
    to_model,
)
from earsight.generate.bundles import build_network, open_bundle
from earsight.generate.sound_class import class_names_of
from earsight.models.melception.config import MelceptionConfig
from earsight.models.melception.model import Melception

DEFAULT_JUDGE = "bundled"
SHORTEST_FRAMES = 23
"""Fewer leave nothing after the network's reductions."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the published metrics read of some spectrograms."""

    features: Float[Tensor, "b d"]
    unbiased_scores: Float[Tensor, "b k"]
    scores: Float[Tensor, "b k"]


@runtime_checkable
class Judge(Protocol):
    """A classifier of spectrograms with a name and a hash."""

    @property
    def name(self) -> JudgeName:
        """Which network it is."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of its classes, in order; empty where its folder does not say."""
        ...

    def __call__(self, mels: Float[Tensor, "b m t"]) -> Verdict:
        """Judge spectrograms in [0, 1] of one length."""
        ...


class MelceptionJudge:
    """Melception on spectrograms that are normalised per band. Source: SpecVQGAN, sec. 4.1."""

    def __init__(
        self, network: Melception, name: JudgeName, class_names: tuple[str, ...] = ()
    ) -> None:
        self._network = network.eval()
        self._name = name
        self._class_names = class_names

    @property
    def name(self) -> JudgeName:
        """Which network it is."""
        return self._name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of its classes."""
        return self._class_names

    @torch.inference_mode()
    def __call__(self, mels: Float[Tensor, "b m t"]) -> Verdict:
        """Judge spectrograms in [0, 1] of one length."""
        device = next(self._network.parameters()).device
        found = self._network.features(normalise_bands(mels.float().to(device)))
        return Verdict(found.features.cpu(), found.unbiased_scores.cpu(), found.scores.cpu())


def open_judge(source: str = DEFAULT_JUDGE, *, device: str = "cpu") -> MelceptionJudge:
    """The bundled Melception, a folder, or converted official weights by name.

    Raises InputError where there is no Melception in it, WeightsError for weights that do not fit.
    """
    bundle = open_bundle(source)
    parts = [part for part in bundle.parts.values() if part.family == "melception"]
    if not parts:
        raise InputError(
            f"{source} holds {', '.join(bundle.parts)} and no Melception to judge with: give "
            "--judge a folder or the name of converted weights ('earsight weights list')"
        )
    part = parts[0]
    network = build_network(Melception, MelceptionConfig, part, "melception", torch.device(device))
    return MelceptionJudge(
        network,
        JudgeName(name=str(source), sha256=part.sha256),
        class_names_of(part, network.config.num_classes),
    )


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A judged set: one row a clip or sample, with its key, and what had to be left out."""

    keys: tuple[str, ...]
    verdict: Verdict
    skipped: tuple[LeftOut, ...] = ()

    @property
    def num_items(self) -> int:
        """Rows."""
        return len(self.keys)


@runtime_checkable
class Spectrogram(Protocol):
    """Something of a set that is read when its turn comes."""

    @property
    def key(self) -> str:
        """Clip that it shows or was made for."""
        ...

    @property
    def label(self) -> str:
        """Name in messages."""
        ...

    def mel(self) -> Float[Tensor, "m t"]:
        """Spectrogram in [0, 1]."""
        ...


def judged_set(
    items: Iterable[Spectrogram], judge: Judge, *, real: bool, batch: int = 8
) -> JudgedSet:
    """Judge spectrograms in batches of one length; broken ones are named and left out.

    At most the middle 848 frames are taken; real ones go through the codebook's range and back,
    as in the official evaluation. Raises InputError where nothing is left.
    """
    keys: list[str] = []
    skipped: list[LeftOut] = []
    rows: dict[int, Verdict] = {}
    waiting: dict[int, list[tuple[int, Tensor]]] = {}

    def judge_length(length: int) -> None:
        group = waiting.pop(length)
        verdict = judge(torch.stack([mel for _, mel in group]))
        for row, (place, _) in enumerate(group):
            rows[place] = Verdict(
                verdict.features[row : row + 1],
                verdict.unbiased_scores[row : row + 1],
                verdict.scores[row : row + 1],
            )

    for item in items:
        try:
            mel = fitted(item.mel(), real=real)
        except EarsightError as error:
            skipped.append(LeftOut(name=item.label, reason=" ".join(str(error).split())))
            continue
        length = mel.shape[1]
        waiting.setdefault(length, []).append((len(keys), mel))
        keys.append(item.key)
        if len(waiting[length]) == batch:
            judge_length(length)
    for length in list(waiting):
        judge_length(length)
    if not keys:
        reasons = "; ".join(f"{s.name}: {s.reason}" for s in skipped[:3])
        raise InputError(f"nothing to judge, {len(skipped)} items could not be read ({reasons})")
    ordered = [rows[place] for place in range(len(keys))]
    joined = Verdict(
        torch.cat([row.features for row in ordered]),
        torch.cat([row.unbiased_scores for row in ordered]),
        torch.cat([row.scores for row in ordered]),
    )
    return JudgedSet(tuple(keys), joined, tuple(skipped))


def fitted(mel: Float[Tensor, "m t"], *, real: bool) -> Float[Tensor, "m u"]:
    """The spectrogram as the judge gets it; raises InputError for less than 23 frames."""
    if mel.shape[1] < SHORTEST_FRAMES:
        raise InputError(
            f"{mel.shape[1]} frames are too few to judge: {SHORTEST_FRAMES} (0.3 s) at least"
        )
    if mel.shape[1] > MODEL_FRAMES:
        mel = centre_crop(mel)
    return from_model(to_model(mel)) if real else mel
