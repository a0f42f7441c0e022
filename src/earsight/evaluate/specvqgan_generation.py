"""FID, KID, ISC and MKL of generated sounds as SpecVQGAN's evaluation defines them.

Every generated sample and every real clip once goes through the judge; a sample is paired with the
clip that it was made for. Source: SpecVQGAN, sec. 4.1; official repository v-iashin/SpecVQGAN
(evaluation). Differs from it: real clips are never repeated to fill up a process.

Axes: n samples, d features, k classes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.errors import InputError
from earsight.evaluate.card import LeftOut, Score
from earsight.evaluate.generation import SampleFile
from earsight.evaluate.judge import JudgedSet
from earsight.evaluate.sound_sets import SetFile, SoundSet, read_mel
from earsight.metrics.divergence import mkl
from earsight.metrics.frechet import frechet_distance, moments
from earsight.metrics.inception_score import inception_score
from earsight.metrics.kernel import kernel_distance

INCEPTION_SPLITS = 10
FEW_SAMPLES = 2048
"""Of fewer, these distances depend on their number; the card says so."""


@dataclass(frozen=True, slots=True)
class ClipMel:
    """A real clip of a corpus."""

    corpus: Corpus
    record: ClipRecord

    @property
    def key(self) -> str:
        """The clip's name."""
        return self.record.id

    @property
    def label(self) -> str:
        """Name in messages."""
        return f"real {self.record.id}"

    def mel(self) -> Float[Tensor, "m t"]:
        """Its spectrogram."""
        return self.corpus.mel(self.record).float()


@dataclass(frozen=True, slots=True)
class SampleMel:
    """A generated sample of a clip."""

    file: SampleFile

    @property
    def key(self) -> str:
        """The clip it was made for."""
        return self.file.record.id

    @property
    def label(self) -> str:
        """Name in messages."""
        return self.file.stem.name

    def mel(self) -> Float[Tensor, "m t"]:
        """Its spectrogram."""
        return read_mel(self.file.mel)


@dataclass(frozen=True, slots=True)
class FileMel:
    """A sound or spectrogram of a folder."""

    file: SetFile
    folder: Path

    @property
    def key(self) -> str:
        """The clip that it shows or was made for."""
        return self.file.key

    @property
    def label(self) -> str:
        """Name in messages."""
        return str(self.file.path.relative_to(self.folder.parent))

    def mel(self) -> Float[Tensor, "m t"]:
        """Its spectrogram."""
        return read_mel(self.file.path)


def folder_mels(sounds: SoundSet) -> list[FileMel]:
    """Everything of a folder."""
    return [FileMel(file, sounds.folder) for file in sounds.files]


def unique_real(sounds: SoundSet) -> tuple[SoundSet, list[LeftOut]]:
    """The real set with every key once; further files of a key are named.

    The official evaluation takes one real spectrogram per clip.
    """
    kept: dict[str, SetFile] = {}
    doubled: list[LeftOut] = []
    for file in sounds.files:
        if file.key in kept:
            reason = f"a second real sound of {file.key}, after {kept[file.key].path.name}"
            doubled.append(LeftOut(name=str(file.path), reason=reason))
        else:
            kept[file.key] = file
    return SoundSet(sounds.folder, tuple(kept.values())), doubled


def generation_scores(real: JudgedSet, fake: JudgedSet) -> tuple[dict[str, Score], list[LeftOut]]:
    """The four scores, and the samples without a real partner (left out of MKL alone).

    Raises InputError for sets of less than two, and where nothing pairs up.
    """
    rows, alone = pairs(real.keys, fake.keys)
    real_features, fake_features = _array(real.verdict.features), _array(fake.verdict.features)
    distance = frechet_distance(
        moments(fake_features, name="generated"), moments(real_features, name="real")
    )
    kernel = kernel_distance(fake_features, real_features)
    real_rows = [r for r, _ in rows]
    fake_rows = [f for _, f in rows]
    relevance = mkl(
        _array(real.verdict.scores[real_rows]), _array(fake.verdict.scores[fake_rows])[:, None]
    )
    number = fake.num_items
    few = min(real.num_items, number)
    note = f"; of {few} only, depends on the number" if few < FEW_SAMPLES else ""
    scores = {
        "FID": Score(
            value=distance,
            what=f"Frechet distance of features{note}",
            better="less",
            num_items=number,
        ),
        "KID": Score(
            value=kernel.mean,
            what=f"kernel distance of features, deviation over subsets of {kernel.subset_size}",
            spread=kernel.std,
            better="less",
            num_items=number,
        ),
        "ISC": _inception(fake),
        "MKL": Score(
            value=relevance,
            what="divergence of classes from the own clip's, nats, mean over samples",
            better="less",
            num_items=len(rows),
        ),
    }
    return scores, alone


def _inception(fake: JudgedSet) -> Score:
    what = "inception score, deviation over splits"
    if fake.num_items < INCEPTION_SPLITS:
        told = f"{what}; not defined for {fake.num_items} samples, {INCEPTION_SPLITS} are needed"
        return Score(value=None, what=told, better="more", num_items=fake.num_items)
    found = inception_score(_array(fake.verdict.unbiased_scores), num_splits=INCEPTION_SPLITS)
    return Score(
        value=found.mean, what=what, spread=found.std, better="more", num_items=fake.num_items
    )


def pairs(
    real_keys: Sequence[str], fake_keys: Sequence[str]
) -> tuple[list[tuple[int, int]], list[LeftOut]]:
    """Rows (real, generated) that belong together, and generated ones that are alone.

    Raises InputError for real keys that occur twice, and where nothing pairs up.
    """
    doubled = [key for key, count in Counter(real_keys).items() if count > 1]
    if doubled:
        raise InputError(
            f"{len(doubled)} real clips occur twice, first {doubled[0]}: each may be there once"
        )
    places = {key: row for row, key in enumerate(real_keys)}
    found = [(places[key], row) for row, key in enumerate(fake_keys) if key in places]
    if not found:
        raise InputError(
            f"no generated sound pairs with a real one: real names are like '{real_keys[0]}', "
            f"generated ones like '{fake_keys[0]}' (expected <clip>_sample_<i>)"
        )
    alone = [
        LeftOut(name=key, reason="no real sound of this name; in FID, KID and ISC only")
        for key in dict.fromkeys(fake_keys)
        if key not in places
    ]
    return found, alone


def _array(values: Tensor) -> Float[np.ndarray, "n d"]:
    return values.float().cpu().numpy()  # pyright: ignore[reportUnknownMemberType]
