"""Scores that only a world with known truth allows: timing, relevance, loudness, what is unseen.

Every score is the mean over clips with its standard error; a clip's samples are averaged first.
The same sounds are compared for every system: the model, its controls, and the true sound, which
is the upper bound that the measuring itself leaves.

Axes: s samples, t video frames.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.foley_room.clip import ClipTruth
from earsight.data.foley_room.clip_files import truth_path
from earsight.errors import EarsightError, InputError
from earsight.evaluate.card import LeftOut, Score
from earsight.evaluate.loudness_tracks import correlation, floored_db, frame_levels_db
from earsight.evaluate.onset_detection import detect_onsets
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ, log_mel
from earsight.generate.sound_class import Heard
from earsight.metrics.onsets import onset_scores
from earsight.settings import from_plain

UNSEEN = 0.05
"""A source of which less than this part is inside the picture counts as invisible."""

MEASURES: Mapping[str, str] = {
    "onset_f": "F-measure of onsets against events, within 50 ms, where all that sounds is events",
    "class_accuracy": "share of sounds whose likeliest class of the world is heard in the clip",
    "loudness_correlation": "correlation of level tracks in decibel, per video frame",
    "offscreen_recall": "share of events of invisible sources that are heard within 50 ms",
}

MODEL = "model"
CONTROLS = ("no_picture", "random_training")
"""What the model is compared with: itself without the picture, a real sound of the right class."""

Sounds = Callable[[ClipRecord], Sequence[Float[Tensor, " s"]]]
"""A system: the sounds at 22050 Hz that it gives a clip. Raises EarsightError for none."""


@runtime_checkable
class Ears(Protocol):
    """Tells classes of sounds, such as a `SoundClassifier`."""

    class_names: tuple[str, ...]

    def judge(self, mels: Sequence[Float[Tensor, "m _"]]) -> Heard:
        """Judge spectrograms in [0, 1] of any lengths."""
        ...


@dataclass(frozen=True, slots=True)
class TrueClip:
    """A clip and what is true of it."""

    record: ClipRecord
    truth: ClipTruth

    @property
    def class_name(self) -> str:
        """Main class, by which results are grouped."""
        return self.record.class_name or (self.truth.classes[0] if self.truth.classes else "")


@dataclass(frozen=True, slots=True)
class FoleyResult:
    """Per system, measure and clip id: the clip's value, where the measure applies."""

    values: Mapping[str, Mapping[str, Mapping[str, float]]]
    classes: Mapping[str, str]
    skipped: tuple[LeftOut, ...]

    def scores(self) -> dict[str, Score]:
        """`measure.system` to mean and standard error over clips.

        `measure.over_control` is the mean difference, clip by clip, of the model and a control.
        """
        found = {
            f"{measure}.{system}": mean_score(
                by_measure.get(measure, {}).values(), MEASURES[measure]
            )
            for measure in MEASURES
            for system, by_measure in self.values.items()
        }
        for control in CONTROLS:
            if control in self.values and MODEL in self.values:
                found |= {
                    f"{measure}.over_{control}": self._margin(measure, control)
                    for measure in MEASURES
                }
        return found

    def _margin(self, measure: str, control: str) -> Score:
        own = self.values[MODEL].get(measure, {})
        other = self.values[control].get(measure, {})
        what = f"{MODEL} minus {control}, clip by clip: {MEASURES[measure]}"
        return mean_score((own[clip] - other[clip] for clip in own if clip in other), what)

    def by_class(self) -> dict[str, dict[str, dict[str, Score]]]:
        """The same per class: class, then system, then measure; only what applies."""
        names = sorted(set(self.classes.values()))
        return {
            name: {
                system: {
                    measure: mean_score(found, MEASURES[measure])
                    for measure, values in by_measure.items()
                    if (found := [v for clip, v in values.items() if self.classes[clip] == name])
                }
                for system, by_measure in self.values.items()
            }
            for name in names
        }


def read_truth_of(record: ClipRecord) -> ClipTruth:
    """Truth of a clip. Raises InputError for a clip that has none: it was not rendered."""
    noted = record.notes.get("truth")
    path = Path(str(noted)) if noted else truth_path(record.source)
    if not path.is_file():
        raise InputError(
            f"{record.id}: no truth at {path}: these scores need clips of the Foley Room"
        )
    return from_plain(ClipTruth, json.loads(path.read_text()))


def foley_scores(
    clips: Sequence[TrueClip],
    systems: Mapping[str, Sounds],
    *,
    judge: Ears | None,
    class_names: Sequence[str],
) -> FoleyResult:
    """Measure every system on every clip; what a system cannot give is named.

    A sound is taken for the likeliest of `class_names`, whatever else the judge knows. Without a
    judge, or with one that does not know the clips' classes, nothing is said about classes.
    """
    values: dict[str, dict[str, dict[str, float]]] = {}
    skipped: list[LeftOut] = []
    for system, sounds in systems.items():
        found: dict[str, dict[str, float]] = {measure: {} for measure in MEASURES}
        for clip in clips:
            try:
                waves = sounds(clip.record)
                measured = [
                    measure_sound(wave, clip.truth, judge, class_names=class_names)
                    for wave in waves
                ]
            except EarsightError as error:
                reason = " ".join(str(error).split())
                skipped.append(LeftOut(name=f"{system}: {clip.record.id}", reason=reason))
                continue
            for measure in MEASURES:
                own = [m[measure] for m in measured if measure in m]
                if own:
                    found[measure][clip.record.id] = sum(own) / len(own)
        values[system] = found
    return FoleyResult(values, {c.record.id: c.class_name for c in clips}, tuple(skipped))


def measure_sound(
    wave: Float[Tensor, " s"],
    truth: ClipTruth,
    judge: Ears | None = None,
    *,
    class_names: Sequence[str] = (),
) -> dict[str, float]:
    """What applies to a sound at 22050 Hz, by the names of MEASURES."""
    measured: dict[str, float] = {}
    events = np.array([event.time_seconds for event in truth.events], dtype=np.float64)
    if len(events):
        onsets = np.array(detect_onsets(wave, MEL_RATE_HZ), dtype=np.float64)
        scores = onset_scores(events, onsets)
        if set(truth.classes) <= {event.sound_class for event in truth.events}:
            # rain or an engine beside them would begin all the time
            measured["onset_f"] = scores.f_measure
        heard = set(scores.pairs[:, 0].tolist())
        hidden = [i for i, time in enumerate(events) if _is_unseen(truth, float(time))]
        if hidden:
            measured["offscreen_recall"] = sum(i in heard for i in hidden) / len(hidden)
    if len(set(truth.loudness)) > 1:
        levels = frame_levels_db(wave, MEL_RATE_HZ, num_frames=len(truth.loudness), fps=truth.fps)
        true_levels = floored_db(np.array(truth.loudness, dtype=np.float64))
        measured["loudness_correlation"] = correlation(levels, true_levels)
    class_names = class_names or (() if judge is None else judge.class_names)
    if judge is not None and set(truth.classes) <= set(judge.class_names):
        told = judge.judge([log_mel(wave[None], num_frames=None)[0]])
        places = [i for i, name in enumerate(judge.class_names) if name in class_names]
        best = places[int(told.probabilities[0, places].argmax())]
        measured["class_accuracy"] = float(judge.class_names[best] in truth.classes)
    return measured


def mean_score(values: Iterable[float], what: str) -> Score:
    """Mean and standard error; no number for no values."""
    found = list(values)
    if not found:
        return Score(value=None, what=f"{what}; applies to no clip", better="more", num_items=0)
    mean = sum(found) / len(found)
    spread = None
    if len(found) > 1:
        variance = sum((value - mean) ** 2 for value in found) / (len(found) - 1)
        spread = math.sqrt(variance / len(found))
    return Score(value=mean, what=what, spread=spread, better="more", num_items=len(found))


def true_sound(corpus: Corpus) -> Sounds:
    """The clip's own sound: what the measures can reach at best."""
    return lambda record: [corpus.wave(record)]


def random_training_sound(corpus: Corpus, *, seed: int) -> Sounds:
    """A training clip of the same class, chosen by (seed, clip); repeated or cut to length."""
    by_class: dict[str | None, list[ClipRecord]] = {}
    for record in corpus.records("train"):
        by_class.setdefault(record.class_name, []).append(record)

    def sounds(record: ClipRecord) -> Sequence[Float[Tensor, " s"]]:
        choices = by_class.get(record.class_name, [])
        if not choices:
            raise InputError(f"no training clip of class {record.class_name}")
        rng = np.random.default_rng([seed, *record.id.encode()])
        wave = corpus.wave(choices[int(rng.integers(len(choices)))])
        wanted = round(record.seconds * MEL_RATE_HZ)
        return [wave.repeat(-(-wanted // max(1, wave.numel())))[:wanted]]

    return sounds


def shuffled(sounds: Sounds, records: Sequence[ClipRecord], *, seed: int) -> Sounds:
    """The sounds of another clip of the set, whichever: what chance alone would score."""
    order = [int(place) for place in np.random.default_rng(seed).permutation(len(records))]
    following = zip(order, [*order[1:], *order[:1]], strict=True)
    partners = {records[own].id: records[other] for own, other in following}
    return lambda record: sounds(partners[record.id])


def _is_unseen(truth: ClipTruth, time_seconds: float) -> bool:
    frame = min(int(time_seconds * truth.fps), len(truth.visibility) - 1)
    return frame >= 0 and truth.visibility[frame] < UNSEEN


def silence(record: ClipRecord) -> Sequence[Float[Tensor, " s"]]:
    """No sound at all, as long as the clip."""
    return [torch.zeros(round(record.seconds * MEL_RATE_HZ))]
