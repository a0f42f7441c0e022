"""What a network hears in the clips of a corpus: features and class probabilities, a row a clip.

A clip is heard whole, in windows of the network's own length, and a row is the mean over time of
what they say. Windows of several clips go through the network together.

Axes: n clips, b windows, s samples, d features, k classes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.source_clips import media_kind
from earsight.errors import ConfigError, EarsightError, InputError
from earsight.evaluate.card import LeftOut, left_out
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ
from earsight.generate.sound_windows import SoundWindow, mean_over_time, sound_windows
from earsight.generate.tagger import SoundTagger
from earsight.media.audio import read_audio
from earsight.media.resample import resample
from earsight.media.waveform import Waveform
from earsight.models.htsat.scene import cyclic_moves

Sounds = Literal["source", "corpus"]
MOST_WAITING = 8
"""Batches of windows that may wait for others of their length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HearingSettings:
    """How clips are heard.

    `sounds`: the files that clips come from, at full band, or the corpus's own sounds at 22050 Hz,
    which trainings hear. `auto` takes the files where all are there and the model is not a folder,
    but one of the official networks by name. Scores are averaged over `num_shifts` cyclic moves
    of every window: 1 is the window as it is, 10 what HTS-AT was tested on AudioSet with.
    """

    sounds: Literal["auto", "source", "corpus"] = "auto"
    num_shifts: int = 1
    batch: int = 8

    def __post_init__(self) -> None:
        """Refuse numbers below 1."""
        if self.num_shifts < 1 or self.batch < 1:
            raise ConfigError(
                f"shifts ({self.num_shifts}) and batch ({self.batch}) must be at least 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class HeardClips:
    """Clips that could be heard, in their order; `probabilities` are None without classes."""

    records: tuple[ClipRecord, ...]
    features: Float[np.ndarray, "n d"]
    probabilities: Float[np.ndarray, "n k"] | None
    left_out: tuple[LeftOut, ...]
    sounds: Sounds


def hear_clips(
    tagger: SoundTagger,
    corpus: Corpus,
    records: Sequence[ClipRecord],
    settings: HearingSettings,
    *,
    on_clip: Callable[[int], None] | None = None,
) -> HeardClips:
    """Hear every clip; one that cannot be read, or is too short, is left out and named.

    Raises InputError where that is all of them.
    """
    sounds = sounds_of(records, settings)
    found: dict[int, _Windows] = {place: _Windows() for place in range(len(records))}
    problems: list[tuple[str, str]] = []

    def windows() -> Iterator[tuple[int, SoundWindow]]:
        for place, record in enumerate(records):
            try:
                cut = _cut(tagger, clip_sound(corpus, record, sounds), record)
            except (EarsightError, OSError) as error:
                problems.append((record.id, str(error)))
                del found[place]
            else:
                yield from ((place, window) for window in cut)
            if on_clip is not None:
                on_clip(1)

    for some in batches_of_one_length(windows(), settings.batch):
        waves = torch.stack([window.samples for _, window in some])
        features, probabilities = _listen(tagger, waves, settings.num_shifts)
        for row, (place, window) in enumerate(some):
            told = None if probabilities is None else probabilities[row]
            found[place].add(window, features[row], told)
    if not found:
        first = problems[0] if problems else ("", "there are none")
        raise InputError(f"none of {len(records)} clips of {corpus.name} can be heard: {first[1]}")
    means = [windows.means() for windows in found.values()]
    told = [probabilities.numpy() for _, probabilities in means if probabilities is not None]
    return HeardClips(
        records=tuple(records[place] for place in found),
        features=np.stack([features.numpy() for features, _ in means]),
        probabilities=np.stack(told) if told else None,
        left_out=left_out(problems),
        sounds=sounds,
    )


def hearing_of(model: str, settings: HearingSettings) -> HearingSettings:
    """What `auto` stands for with this model, as far as that says it."""
    if settings.sounds == "auto" and Path(model).is_dir():
        return replace(settings, sounds="corpus")
    return settings


def sounds_of(records: Sequence[ClipRecord], settings: HearingSettings) -> Sounds:
    """What `auto` stands for with these clips."""
    if settings.sounds != "auto":
        return settings.sounds
    there = all(media_kind(r.source) is not None and r.source.is_file() for r in records)
    return "source" if there else "corpus"


def clip_sound(corpus: Corpus, record: ClipRecord, sounds: Sounds) -> Waveform:
    """A clip's sound, mono: its part of the file it comes from, or what the corpus keeps."""
    if sounds == "corpus":
        return Waveform(corpus.wave(record).float()[None], MEL_RATE_HZ)
    if "wave" in record.notes:
        return read_audio(str(record.notes["wave"]), mono=True)
    if "start_seconds" not in record.notes:
        return read_audio(record.source, mono=True)
    return read_audio(
        record.source,
        mono=True,
        start_seconds=float(record.notes["start_seconds"]),
        duration_seconds=record.seconds,
    )


def batches_of_one_length(
    windows: Iterable[tuple[int, SoundWindow]], batch: int
) -> Iterator[list[tuple[int, SoundWindow]]]:
    """Windows of one length together, at most `batch` at once; few wait for others."""
    waiting: dict[int, list[tuple[int, SoundWindow]]] = {}
    for place, window in windows:
        group = waiting.setdefault(len(window.samples), [])
        group.append((place, window))
        if len(group) == batch:
            yield waiting.pop(len(window.samples))
        elif sum(map(len, waiting.values())) >= MOST_WAITING * batch:
            yield waiting.pop(max(waiting, key=lambda length: len(waiting[length])))
    yield from waiting.values()


class _Windows:
    """What a network made of the windows of a clip."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, Tensor, Tensor | None]] = []

    def add(self, window: SoundWindow, features: Tensor, probabilities: Tensor | None) -> None:
        """Add a window."""
        self._rows.append((window.start, window.end, features, probabilities))

    def means(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " k"] | None]:
        """Means over time of features and probabilities."""
        starts, ends, features, probabilities = zip(*sorted(self._rows, key=_start), strict=True)
        spans = torch.tensor([starts, ends]).T.double()
        mean = mean_over_time(spans, torch.stack(features))
        if probabilities[0] is None:
            return mean, None
        return mean, mean_over_time(spans, torch.stack(probabilities))


def _start(row: tuple[int, int, Tensor, Tensor | None]) -> int:
    return row[0]


def _cut(tagger: SoundTagger, sound: Waveform, record: ClipRecord) -> list[SoundWindow]:
    listener = tagger.listener
    heard = resample(sound, listener.rate_hz)
    size = listener.window_samples
    found = list(sound_windows([heard], window_samples=size, hop_samples=size))
    if not found or len(found[0].samples) < listener.min_samples:
        raise InputError(
            f"{record.id} lasts {heard.num_samples / listener.rate_hz:.3f} s, {tagger.name} needs "
            f"at least {listener.min_samples / listener.rate_hz:.3f} s"
        )
    return found


@torch.inference_mode()
def _listen(
    tagger: SoundTagger, waves: Float[Tensor, "b s"], num_shifts: int
) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"] | None]:
    """Features and probabilities, both means over cyclic moves, on the CPU."""
    listener = tagger.listener
    features: list[Tensor] = []
    probabilities: list[Tensor] = []
    for move in cyclic_moves(num_shifts):
        heard = listener.hear(waves.roll(-move, dims=1).to(tagger.device))
        features.append(heard.features.float().cpu())
        if heard.logits is not None:
            probabilities.append(listener.probabilities(heard.logits.float()).cpu())
    mean = torch.stack(features).mean(dim=0)
    return mean, torch.stack(probabilities).mean(dim=0) if probabilities else None
