"""Recordings in place of synthesis: what happens in the picture plays a user's own sounds.

A happening plays a loud event cut out of a recording; classes that sound steadily play a steady
stretch of one, shaped by their envelope. The label of a clip is then the recording's.
Axes: s samples, n hundredths of a second.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.data.corpora.esc10 import HELD_OUT_FOLD, read_esc10
from earsight.data.foley_room.cuts import Cut, event_sound, find_events, steady_sound
from earsight.data.foley_room.modal import placed
from earsight.data.foley_room.performance import Performance
from earsight.data.records import Record
from earsight.errors import InputError
from earsight.media.audio import read_audio
from earsight.media.resample import resample

Split = Literal["train", "valid", "test"]
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a")
FEWEST_TO_SPLIT = 10  # with fewer recordings of a class all splits play the same ones
# one scene a class, so that the picture tells what is heard
ESC10_SCENES: Mapping[str, str] = {
    "dog bark": "drum",
    "rain": "rain",
    "sea waves": "waves",
    "baby cry": "pluck",
    "clock tick": "clock",
    "person sneeze": "drop",
    "helicopter": "engine",
    "chainsaw": "siren",
    "rooster": "bell",
    "fire crackling": "fireworks",
}


@dataclass(frozen=True, slots=True)
class BankRecording:
    """A mono recording, the loud events in it, and the splits whose clips may play it."""

    wave: Float[np.ndarray, " s"]
    events: tuple[Cut, ...]
    splits: tuple[Split, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundBank:
    """Labelled recordings at one rate.

    `scenes` says which scene plays a class; a class that is not named there is played by the
    scene of its own name, or else by any.
    """

    rate_hz: int
    recordings: Mapping[str, tuple[BankRecording, ...]]
    scenes: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        empty = [name for name, found in self.recordings.items() if not found]
        if empty or not self.recordings:
            raise InputError(
                f"a sound bank needs a recording or more of each class; "
                f"none of: {', '.join(empty) or 'any class'}"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order that numbers them."""
        return tuple(self.recordings)

    @property
    def digest(self) -> str:
        """Hexadecimal digest of all that is played, to tell banks apart."""
        total = hashlib.sha256(repr((self.rate_hz, sorted(self.scenes.items()))).encode())
        for name, found in self.recordings.items():
            total.update(name.encode())
            for one in found:
                total.update(repr(one.splits).encode() + one.wave.tobytes())
        return total.hexdigest()

    def scene(self, rng: np.random.Generator, class_name: str, known: Sequence[str]) -> str:
        """Which of the known scenes plays a class."""
        drawn = known[int(rng.integers(len(known)))]
        wanted = self.scenes.get(class_name, class_name)
        return wanted if wanted in known else drawn

    def play(
        self, rng: np.random.Generator, class_name: str, performance: Performance, split: Split
    ) -> Float[np.ndarray, " s"]:
        """The sound of a performance, played by one recording of a class."""
        allowed = [one for one in self.recordings[class_name] if split in one.splits]
        recording = allowed[int(rng.integers(len(allowed)))]
        envelope = performance.envelope()
        num_samples = round(len(envelope) * self.rate_hz / 100)
        happenings = performance.happenings
        if not happenings:
            return steady_sound(rng, recording.wave, envelope, self.rate_hz, num_samples)
        ends = [one.time_seconds for one in happenings[1:]] + [num_samples / self.rate_hz]
        sounds: list[tuple[float, Float[np.ndarray, " n"]]] = []
        for one, end in zip(happenings, ends, strict=True):
            cut = recording.events[int(rng.integers(len(recording.events)))]
            room_samples = round((end - one.time_seconds) * self.rate_hz)
            sound = event_sound(recording.wave, cut, one.strength, self.rate_hz, room_samples)
            sounds.append((one.time_seconds, sound))
        return placed(sounds, num_samples=num_samples, rate_hz=self.rate_hz)


def bank_of_waves(
    waves: Mapping[str, Sequence[Float[np.ndarray, " _"]]],
    rate_hz: int,
    *,
    scenes: Mapping[str, str] | None = None,
) -> SoundBank:
    """A bank of mono recordings in memory; of ten or more of a class some are kept for test."""
    recordings = {
        name: tuple(
            _recording(wave, rate_hz, splits, f"recording {number} of {name}")
            for number, (wave, splits) in enumerate(
                zip(found, _shared_out(len(found)), strict=True)
            )
        )
        for name, found in waves.items()
    }
    return SoundBank(rate_hz=rate_hz, recordings=recordings, scenes=dict(scenes or {}))


def bank_of_records(
    records: Iterable[Record], rate_hz: int, *, scenes: Mapping[str, str] | None = None
) -> SoundBank:
    """A bank of a labelled corpus; takes of its last fold are played in test clips only."""
    found: dict[str, list[BankRecording]] = {}
    for record in records:
        splits: tuple[Split, ...] = (
            ("test",) if record.fold == HELD_OUT_FOLD else ("train", "valid")
        )
        one = _recording(_read(record.path, rate_hz), rate_hz, splits, record.path.name)
        found.setdefault(record.class_name, []).append(one)
    recordings = {name: tuple(kept) for name, kept in found.items()}
    return SoundBank(rate_hz=rate_hz, recordings=recordings, scenes=dict(scenes or {}))


def bank_of_folder(folder: Path, rate_hz: int) -> SoundBank:
    """A bank of ESC-10 (its own layout or inside ESC-50), or of a folder with one folder a class.

    Raises InputError where no sound is found.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: expected one that holds a folder for each class")
    if (folder / "meta" / "esc50.csv").is_file() or any(folder.glob("001 - *")):
        return bank_of_records(read_esc10(folder), rate_hz, scenes=ESC10_SCENES)
    waves = {
        inner.name: [_read(path, rate_hz) for path in files]
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and (files := _sounds(inner))
    }
    if not waves:
        raise InputError(
            f"{folder} holds no recordings: expected a folder for each class, named after it, "
            f"with {', '.join(SUFFIXES)} files inside"
        )
    return bank_of_waves(waves, rate_hz)


def _sounds(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]


def _read(path: Path, rate_hz: int) -> Float[np.ndarray, " s"]:
    wave = resample(read_audio(path, mono=True), rate_hz)
    return wave.samples[0].numpy()


def _shared_out(count: int) -> list[tuple[Split, ...]]:
    """Every tenth recording for test, the one before for validation, the others for training."""
    if count < FEWEST_TO_SPLIT:
        return [("train", "valid", "test")] * count
    last: dict[int, tuple[Split, ...]] = {8: ("valid",), 9: ("test",)}
    return [last.get(number % 10, ("train",)) for number in range(count)]


def _recording(
    wave: Float[np.ndarray, " s"], rate_hz: int, splits: tuple[Split, ...], name: str
) -> BankRecording:
    wave = wave.astype(np.float32)
    if not np.isfinite(wave).all() or not np.abs(wave).max(initial=0.0) > 0:
        raise InputError(f"{name} is silent or not a sound: leave it out of the bank")
    return BankRecording(wave, find_events(wave, rate_hz), splits)
