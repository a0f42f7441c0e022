"""Free Spoken Digit Dataset: files DIGIT_SPEAKER_INDEX.wav, ten digits, 50 takes of each a speaker.

Takes 0 to 4 of every digit and speaker are the official test set.
Source: official repository Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0).
"""

import re
from pathlib import Path

from earsight.data.corpus import Split
from earsight.data.source_clips import Source, SourceClip, chosen_label
from earsight.errors import InputError

LABELS = ("digit", "speaker")
TEST_TAKES, VALID_TAKES = range(5), range(5, 7)
SHORTEST_SECONDS = 0.05
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)\.wav")


def is_fsdd(folder: Path) -> bool:
    """Whether a folder, or `recordings` in it, holds sounds that are all named as this corpus's."""
    names = [path.name for path in _recordings(folder).glob("*.wav")]
    return bool(names) and all(map(_NAME.fullmatch, names))


def fsdd_source(folder: Path, label: str | None = None) -> Source:
    """Every recording; its class is its `label`, "digit" unless "speaker" is asked for.

    Both are in the notes. Raises InputError for another label.
    """
    label = chosen_label("FSDD", label, LABELS)
    clips = [_clip(path, label) for path in sorted(_recordings(folder).glob("*.wav"))]
    if not clips:
        raise InputError(f"{folder} holds no recording: expected 0_george_0.wav and so on")
    return Source(
        name=f"fsdd_{label}",
        kind="fsdd",
        class_names=tuple(sorted({clip.class_name for clip in clips if clip.class_name})),
        clips=clips,
        rule=f"class: {label}; official test set: takes 0 to 4 of every digit and speaker; takes "
        "5 and 6 are valid (no official set), the rest train",
        published={"train": 2580, "valid": 120, "test": 300},
    )


def _recordings(folder: Path) -> Path:
    inside = folder / "recordings"
    return inside if inside.is_dir() else folder


def _clip(path: Path, label: str) -> SourceClip:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise InputError(f"{path} is not named DIGIT_SPEAKER_INDEX.wav")
    take = int(named["take"])
    split: Split = "train"
    if take in TEST_TAKES:
        split = "test"
    elif take in VALID_TAKES:
        split = "valid"
    return SourceClip(
        id=path.stem,
        split=split,
        class_name=named[label],
        media=path,
        has_picture=False,
        shortest_seconds=SHORTEST_SECONDS,
        notes={"digit": named["digit"], "speaker": named["speaker"], "take": take},
    )
