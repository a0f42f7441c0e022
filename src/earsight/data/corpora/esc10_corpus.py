"""ESC-10, in its own folder or inside ESC-50, and ESC-50 as corpora read from the sound files.

Fold 5 is the test split and fold 4 the validation split; the five official folds are meant for
cross-validation, so a published accuracy needs all five in turn.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from earsight.data.corpora import esc50
from earsight.data.corpora.esc10 import CLASSES, CLIP_SECONDS, HELD_OUT_FOLD, read_esc10
from earsight.data.corpus import ClipRecord, Split
from earsight.data.records import Record
from earsight.data.source_clips import chosen_label
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ, log_mel
from earsight.media.audio import read_audio

VALID_FOLD = 4
SPLIT_OF_FOLD: dict[int, Split] = {HELD_OUT_FOLD: "test", VALID_FOLD: "valid"}
"""Folds that are not named here are for training."""


def is_esc(folder: Path) -> bool:
    """Whether a folder is laid out as ESC-10 or ESC-50."""
    if esc50.is_esc50(folder):
        return True
    names = {path.name.partition(" - ")[2].lower() for path in folder.iterdir() if path.is_dir()}
    return bool(names & set(CLASSES))


class ESC10:
    """Sounds alone: there are no picture features. Raises InputError as `read_esc10` does."""

    name = "esc10"
    class_names: tuple[str, ...] = CLASSES
    feature_kinds: tuple[str, ...] = ()

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of the split's folds, by class and name."""
        return [record for record in self._records if record.split == split]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """Log-mel spectrogram of the whole sound, computed anew each time."""
        return log_mel(self.wave(record)[None], num_frames=None)[0]

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """The sound, mono at 22050 Hz."""
        return read_audio(record.source, rate_hz=MEL_RATE_HZ, mono=True).samples[0]

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Raises InputError: there is no picture."""
        raise InputError(f"{record.id} of {self.name} is sound alone: it has no {kind} features")

    @cached_property
    def _records(self) -> list[ClipRecord]:
        return [
            ClipRecord(
                id=record.id,
                split=SPLIT_OF_FOLD.get(record.fold, "train"),
                class_index=record.class_index,
                class_name=record.class_name,
                seconds=CLIP_SECONDS,
                source=record.path,
                notes={"fold": record.fold, "freesound": record.source_id},
            )
            for record in self._read()
        ]

    def _read(self) -> list[Record]:
        return read_esc10(self.folder)


class ESC50(ESC10):
    """All 50 classes of an ESC-50 folder. Raises InputError as `read_esc50` does."""

    name = "esc50"
    class_names = esc50.CLASSES

    def _read(self) -> list[Record]:
        return esc50.read_esc50(self.folder)


def open_esc(folder: Path, part: str | None = None) -> ESC10:
    """The corpus in a folder: ESC-50 where all of it is there, unless its `part` esc10 is wanted.

    Raises InputError for another part, and for esc50 where only ESC-10 is there.
    """
    parts = ("esc50", "esc10") if esc50.is_esc50(folder) else ("esc10",)
    return ESC10(folder) if chosen_label("ESC", part, parts) == "esc10" else ESC50(folder)
