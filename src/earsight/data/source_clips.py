"""Clips before they are prepared: which files, which part of them, which label and split."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earsight.data.corpus import Split
from earsight.errors import ConfigError, InputError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".flv"}
)
SOUND_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".au"}
)
SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}
_UNFIT = re.compile(r"[^\w .,()+=@&'/-]")
_LONGEST = 150


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceClip:
    """A clip to prepare: `media` from `start_seconds` on, for `seconds` or to its end.

    `wave` is a file with the exact sound, where the media file's own was coded with losses.
    `has_picture` says whether the media file is meant to hold a picture. `shortest_seconds` is the
    least sound that a clip may have, where that is not what a codebook needs.
    """

    id: str
    split: Split
    class_name: str | None
    media: Path
    has_picture: bool
    start_seconds: float = 0.0
    seconds: float | None = None
    wave: Path | None = None
    shortest_seconds: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Clips of a corpus in a fixed order, and what is known of the corpus.

    `rule` says in words where labels and splits come from. `published` are the sizes that the
    corpus's splits should have; `absent` are clips that the corpus lists and that are not here.
    """

    name: str
    kind: str
    class_names: tuple[str, ...]
    clips: Sequence[SourceClip]
    rule: str
    published: Mapping[Split, int] = field(default_factory=dict[Split, int])
    absent: Sequence[str] = ()


def chosen_label(corpus: str, label: str | None, labels: Sequence[str]) -> str:
    """What the classes are: `label`, or the first of those that a corpus has.

    Raises InputError for another one.
    """
    if label is not None and label not in labels:
        raise InputError(f"{corpus} has no label '{label}': it has {' or '.join(labels)}")
    return labels[0] if label is None else label


FEWEST_VALID, SMALL = 2, 6


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRule:
    """Shares of the clips that are held out, where the corpus does not say which.

    A clip's split depends on `seed` and the name of its file alone: adding clips moves no other,
    and all parts of one file fall into one split. Only where chance left fewer than
    `FEWEST_VALID` clips of SMALL or more to validate by, the files next in line are taken too.
    """

    valid: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing to train on."""
        if not (0 <= self.valid < 1 and 0 <= self.test < 1 and self.valid + self.test < 1):
            raise ConfigError(
                f"held-out shares must lie in [0, 1) and leave a rest, got valid {self.valid:g} "
                f"and test {self.test:g}"
            )

    def split(self, name: str) -> Split:
        """Split of the file with this name inside its corpus."""
        place = self.place(name)
        if place < self.test:
            return "test"
        return "valid" if place < self.test + self.valid else "train"

    def place(self, name: str) -> float:
        """Where a file's name falls between 0 and 1."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def next_in_line(self, splits: Sequence[tuple[str, Split]]) -> set[str]:
        """Names of training files that are held out after all, from each clip's file and split."""
        missing = FEWEST_VALID - sum(split == "valid" for _, split in splits)
        if self.valid == 0 or len(splits) < SMALL:
            return set()
        moved: set[str] = set()
        trained = {name for name, split in splits if split == "train"}
        for name in sorted(trained, key=self.place):
            if missing <= 0:
                break
            moved.add(name)
            missing -= sum(name == other for other, _ in splits)
        return moved

    def in_words(self) -> str:
        """The rule, for the corpus's card."""
        return (
            f"by a hash of file names (seed {self.seed}): {self.valid:.0%} valid, "
            f"{self.test:.0%} test"
        )


def clean_id(name: str) -> str:
    """A file's name, with folders, as an id: what file systems disagree about becomes "_"."""
    cleaned = _UNFIT.sub("_", name).strip("/")
    if len(cleaned) > _LONGEST:
        cleaned = f"{cleaned[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return cleaned


def media_kind(path: Path) -> bool | None:
    """True for a video by its ending, False for a sound, None for another file."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return True
    return False if suffix in SOUND_SUFFIXES else None
