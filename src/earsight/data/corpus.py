"""What every training stage reads: clips with spectrograms, sounds, picture features and labels.

Prepared folders, the official layouts and shards all look like this, so a recipe never asks
where its clips come from.
Axes: m mel bands, t frames, s samples, n picture frames, w feature width,
r code rows, c columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRecord:
    """One clip: its name, its split, its class, how long it is, where it came from.

    `class_index` and `class_name` are None where no label is known. `source` is the file it was
    prepared from; `notes` keeps what else is known (fold, attribution, origin).
    """

    id: str
    split: Split
    class_index: int | None
    class_name: str | None
    seconds: float
    source: Path
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@runtime_checkable
class Corpus(Protocol):
    """Labelled clips, read one by one. Readers open nothing until asked for a clip."""

    @property
    def name(self) -> str:
        """Short name for logs and cards."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index; empty without labels."""
        ...

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of a split in a fixed order."""
        ...

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """Log-mel spectrogram in [0, 1] of the true length: no padding; front end specvqgan_mel."""
        ...

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Mono sound at 22050 Hz."""
        ...

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Picture features, 21.5 rows a second; raises InputError for a kind that is not there."""
        ...


@runtime_checkable
class CodedCorpus(Protocol):
    """A corpus that keeps codes of whole clips."""

    @property
    def code_digests(self) -> tuple[str, ...]:
        """Codebooks whose codes are there, by the beginning of their weights' hash."""
        ...

    def codes(self, record: ClipRecord, digest: str) -> Int[Tensor, "r c"]:
        """Codes of the whole code columns of a clip."""
        ...
