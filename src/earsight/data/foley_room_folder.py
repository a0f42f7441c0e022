"""Rendered clips of the Foley Room as clips to prepare: exact sound, true classes, their splits.

A folder holds `foley_room.json` (seed, settings, class names) and `clips/<split>/<id>.mp4` with the
exact sound `<id>.wav` and the truth `<id>.truth.json` beside each.
"""

import json
from pathlib import Path
from typing import Any

from earsight.data.corpus import SPLITS, Split
from earsight.data.foley_room.clip_files import truth_path
from earsight.data.source_clips import Source, SourceClip
from earsight.errors import InputError

FOLDER_FILE = "foley_room.json"
_LISTED = 5


def is_foley_room(folder: Path) -> bool:
    """Whether a folder holds rendered clips."""
    return (folder / FOLDER_FILE).is_file()


def foley_room_source(folder: Path) -> Source:
    """Every rendered clip. Its class is the first one of its truth; `notes["classes"]` has all.

    `notes["truth"]` is the path of the truth. Raises InputError that names clips whose sound or
    truth is missing or damaged.
    """
    told: dict[str, Any] = json.loads((folder / FOLDER_FILE).read_text())
    names = tuple(map(str, told.get("class_names", ())))
    clips: list[SourceClip] = []
    problems: list[str] = []
    for split in SPLITS:
        for video in sorted((folder / "clips" / split).glob("*.mp4")):
            try:
                clips.append(_clip(video, split, names))
            except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
                problems.append(f"{video.name} ({error})")
    if problems or not clips:
        listed = ", ".join(problems[:_LISTED]) or "it holds no clip"
        raise InputError(
            f"{folder}: {len(problems)} rendered clips are not whole: {listed}; remove them and "
            "render again"
        )
    return Source(
        name="foley-room",
        kind="foley_room",
        class_names=names,
        clips=clips,
        rule="the world's own splits; labels from the truth",
    )


def _clip(video: Path, split: Split, known: tuple[str, ...]) -> SourceClip:
    sound, truth = video.with_suffix(".wav"), truth_path(video)
    if not sound.is_file():
        raise InputError(f"{sound.name} is missing")
    told: dict[str, Any] = json.loads(truth.read_text())
    classes = [str(name) for name in told["classes"]]
    unknown = sorted(set(classes) - set(known))
    if unknown:
        raise InputError(f"class {unknown[0]!r} is none of this world")
    return SourceClip(
        id=video.stem,
        split=split,
        class_name=classes[0],
        media=video,
        has_picture=True,
        wave=sound,
        notes={"truth": str(truth), "classes": classes},
    )
