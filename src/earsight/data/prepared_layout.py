"""Where things lie in a prepared folder, and how arrays get there whole.

A folder holds `corpus.json`, `manifest.jsonl` (a line a clip), `mels/<id>.npy` (float16, 80 bands),
`waves/<id>.flac` or the clip's own wav, `features/<kind>/<id>.npy` (float16), `codes/<digest>/
<id>.npy` (uint16, 5 rows) and, last, `COMPLETE`. An id may hold "/" for a folder, as VAS's do.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earsight.data.corpus import ClipRecord
from earsight.errors import InputError
from earsight.files import staged, write_json

CORPUS_FILE = "corpus.json"
MANIFEST_FILE = "manifest.jsonl"
COMPLETE_FILE = "COMPLETE"
FORMAT = 1
FRONT_END = "specvqgan_mel"
PATH_NOTES = ("truth", "wave")
"""Notes that are paths: relative to the folder in the manifest, absolute in a record."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def check_id(text: str) -> str:
    """The id itself. Raises InputError for one that could leave the folder it is put into."""
    parts = PurePosixPath(text).parts
    safe = text and text == "/".join(parts) and not {"..", ".", "/"} & set(parts)
    if not safe or len(text) > 200 or not text.isprintable() or "\\" in text or ":" in text:
        raise InputError(
            f"{text[:60]!r} cannot be a clip's id: take at most 200 printable characters without "
            "':', '\\' and '..', not beginning with '/'"
        )
    return text


def check_name(text: str) -> str:
    """A feature kind or digest as a folder's name. Raises InputError for anything but a word."""
    if not _NAME.fullmatch(text) or text.startswith("."):
        raise InputError(f"{text[:60]!r} cannot name a kind of features or codes: take a word")
    return text


def mel_path(folder: Path, clip_id: str) -> Path:
    """Log-mel spectrogram of a clip."""
    return folder / "mels" / f"{check_id(clip_id)}.npy"


def wave_path(folder: Path, clip_id: str) -> Path:
    """Sound of a clip, mono at 22050 Hz in 16 bit."""
    return folder / "waves" / f"{check_id(clip_id)}.flac"


def sound_path(folder: Path, record: ClipRecord) -> Path:
    """Sound of a record: its own exact wav where it has one."""
    own = record.notes.get("wave")
    return Path(str(own)) if own else wave_path(folder, record.id)


def feature_path(folder: Path, kind: str, clip_id: str) -> Path:
    """Picture features of a clip."""
    return folder / "features" / check_name(kind) / f"{check_id(clip_id)}.npy"


def codes_path(folder: Path, digest: str, clip_id: str) -> Path:
    """Codes of a clip under the codebook that `digest` names."""
    return folder / "codes" / check_name(digest) / f"{check_id(clip_id)}.npy"


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Write an array under its final name only when whole, replacing an older one."""
    with staged(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def to_line(record: ClipRecord, folder: Path) -> dict[str, Any]:
    """A record as one line of the manifest, with paths relative to the folder."""
    notes = {
        key: relative_to(Path(value), folder) if key in PATH_NOTES else value
        for key, value in record.notes.items()
    }
    return {
        "id": check_id(record.id),
        "split": record.split,
        "class_index": record.class_index,
        "class_name": record.class_name,
        "seconds": round(record.seconds, 6),
        "source": relative_to(record.source, folder),
        "notes": notes,
    }


def relative_to(path: Path, folder: Path) -> str:
    """A path as seen from a folder, also where it lies outside of it, or the folder is a link."""
    return Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()


def write_manifest(folder: Path, records: Iterable[ClipRecord]) -> None:
    """Write the manifest, whole, replacing an older one."""
    with staged(folder / MANIFEST_FILE, overwrite=True) as temporary:
        lines = (json.dumps(to_line(record, folder), ensure_ascii=False) for record in records)
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def complete(folder: Path, records: Iterable[ClipRecord], card: Mapping[str, Any]) -> None:
    """Write manifest and `corpus.json`, then `COMPLETE`, which says that all the rest is there.

    `card` needs `name`, `kind`, `class_names` and `feature_kinds`; other keys are kept.
    """
    reopen(folder)
    write_manifest(folder, records)
    head = {"format": FORMAT, "front_end": FRONT_END}
    write_json(folder / CORPUS_FILE, head | dict(card), overwrite=True)
    with staged(folder / COMPLETE_FILE) as temporary:
        temporary.write_text("complete\n")


def reopen(folder: Path) -> None:
    """Take back `COMPLETE`, before anything in the folder changes."""
    (folder / COMPLETE_FILE).unlink(missing_ok=True)
