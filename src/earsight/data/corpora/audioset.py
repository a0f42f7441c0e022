"""AudioSet: the official tables of segments, and what is here of their sounds or videos.

`class_labels_indices.csv`, in the folder or beside it, names the classes;
`balanced_train_segments.csv`, `unbalanced_train_segments.csv` and `eval_segments.csv` list clips
of 10 s with several classes each. Media files lie anywhere below the folder, cut to their segment
and named ID, YID, ID_START or ID_START_END, with any ending.
Source: Gemmeke et al., "Audio Set: an ontology and human-labeled dataset for audio events", 2017
(CC BY 4.0).
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from earsight.data.corpora.official_files import listed_file
from earsight.data.corpus import Split
from earsight.data.media_folder import media_below
from earsight.data.source_clips import Source, SourceClip, media_kind
from earsight.errors import InputError

CLASSES_FILE = "class_labels_indices.csv"
TABLES: dict[str, Split] = {
    "balanced_train_segments.csv": "train",
    "unbalanced_train_segments.csv": "train",
    "eval_segments.csv": "test",
}
VALID_SHARE = 0.02
_LISTED = 5
_FILE = re.compile(r"Y?(?P<id>[\w-]{11})(_\d+(\.\d+)?){0,2}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A line of a table: 10 s of a video, and its classes by name."""

    youtube_id: str
    start_seconds: float
    classes: tuple[str, ...]
    table: str


def is_audioset(folder: Path) -> bool:
    """Whether a table of segments lies in a folder."""
    return any((folder / name).is_file() for name in TABLES)


def audioset_source(folder: Path) -> Source:
    """Listed clips that are here; `notes["classes"]` has all classes of a clip.

    AudioSet names no valid clips: a hash of their ids takes `VALID_SHARE` of those to train on.
    Raises InputError for tables that do not fit, and where no clip is here.
    """
    names = read_classes(folder)
    files = _files(folder)
    clips: list[SourceClip] = []
    absent: list[str] = []
    for table in TABLES:
        for segment in _segments(folder, table, names):
            media = files.get(segment.youtube_id)
            if media is None:
                absent.append(segment.youtube_id)
            else:
                clips.append(_clip(segment, media))
    if not clips:
        raise InputError(
            f"{folder}: none of the {len(absent)} clips of AudioSet's tables is here: expected "
            "media files named by their YouTube id"
        )
    return Source(
        name="audioset",
        kind="audioset",
        class_names=tuple(dict.fromkeys(names.values())),
        clips=clips,
        rule=f"official tables: eval is test; {VALID_SHARE:.0%} of the train clips are valid, by a "
        "hash of their ids (no official set)",
        absent=tuple(absent),
    )


def read_classes(folder: Path) -> dict[str, str]:
    """Name of every class by its machine id, in the order of their numbers.

    Raises InputError where the table is missing or has other columns.
    """
    path = listed_file(folder, CLASSES_FILE)
    if path is None:
        raise InputError(f"{CLASSES_FILE} is missing: expected it in {folder} or beside it")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or {"index", "mid", "display_name"} - set(rows[0]):
        raise InputError(f"{path}: expected the columns index, mid, display_name")
    return {row["mid"]: row["display_name"] for row in sorted(rows, key=lambda r: int(r["index"]))}


def _segments(folder: Path, table: str, names: Mapping[str, str]) -> Iterator[Segment]:
    path = folder / table
    if not path.is_file():
        return
    wrong: list[str] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file, skipinitialspace=True):
            if not row or row[0].startswith("#"):
                continue
            found = _segment(row, names, table)
            if found is None:
                wrong.append(",".join(row)[:60])
            else:
                yield found
    if wrong:
        raise InputError(
            f"{path}: {len(wrong)} rows are not id, start, end, known classes: "
            f"{'; '.join(wrong[:_LISTED])}"
        )


def _segment(row: list[str], names: Mapping[str, str], table: str) -> Segment | None:
    try:
        youtube_id, start, _, classes = row
        found = tuple(names[each.strip()] for each in classes.split(","))
        start_seconds = float(start)
    except (ValueError, KeyError):
        return None
    return Segment(youtube_id=youtube_id, start_seconds=start_seconds, classes=found, table=table)


def _clip(segment: Segment, media: Path) -> SourceClip:
    split = TABLES[segment.table]
    digest = hashlib.sha256(segment.youtube_id.encode()).digest()
    if split == "train" and int.from_bytes(digest[:8], "big") < VALID_SHARE * 2**64:
        split = "valid"
    return SourceClip(
        id=segment.youtube_id,
        split=split,
        class_name=segment.classes[0],
        media=media,
        has_picture=bool(media_kind(media)),
        notes={
            "classes": list(segment.classes),
            "youtube_start_seconds": segment.start_seconds,
            "table": segment.table.removesuffix("_segments.csv"),
        },
    )


def _files(folder: Path) -> dict[str, Path]:
    """Media files by the YouTube id in their name; of several the first by name."""
    found: dict[str, Path] = {}
    for path in media_below(folder):
        if named := _FILE.fullmatch(path.stem):
            found.setdefault(named["id"], path)
    return found
