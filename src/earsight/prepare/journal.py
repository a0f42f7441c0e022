"""What is finished of a preparation, one line a clip, appended as clips finish.

A line says which file a clip was made from and which arrays of it are whole, so that an
interrupted run goes on where it stopped, and a changed file is read again.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from earsight.data.source_clips import SourceClip

JOURNAL_FILE = "progress.jsonl"
MEL, WAVE = "mel", "wave"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A clip whose arrays are whole. `parts` names them: "mel", "wave", "features/motion", ..."""

    id: str
    fingerprint: str
    parts: tuple[str, ...]
    seconds: float
    notes: Mapping[str, Any]


def fingerprint(clip: SourceClip) -> str:
    """What a clip's arrays depend on: its files by name, size and time of change, and its range."""
    told: list[object] = [clip.start_seconds, clip.seconds]
    for path in (clip.media, clip.wave):
        if path is not None:
            status = path.stat() if path.exists() else None
            told += [path.name, status and status.st_size, status and status.st_mtime_ns]
    return json.dumps(told)


class Journal:
    """The finished clips of a folder, by id; the last line about a clip counts.

    `made` are those that were added to this object.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self.finished: dict[str, Finished] = {}
        self.made: set[str] = set()
        self._file: IO[str] | None = None
        whole = self._read()
        if self.path.exists() and whole < self.path.stat().st_size:
            # a last line that was being written when the run ended
            os.truncate(self.path, whole)

    def add(self, finished: Finished) -> None:
        """Append a line; it is on its way to the disk when this returns."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        line = {
            "id": finished.id,
            "fingerprint": finished.fingerprint,
            "parts": list(finished.parts),
            "seconds": finished.seconds,
            "notes": dict(finished.notes),
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        self.finished[finished.id] = finished
        self.made.add(finished.id)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> int:
        """Take in whole lines; returns how many bytes they are."""
        if not self.path.is_file():
            return 0
        whole = 0
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    told = cast(dict[str, Any], json.loads(line))
                    finished = Finished(
                        id=str(told["id"]),
                        fingerprint=str(told["fingerprint"]),
                        parts=tuple(map(str, told["parts"])),
                        seconds=float(told["seconds"]),
                        notes=dict(told["notes"]),
                    )
                except (ValueError, KeyError, TypeError):
                    break
                self.finished[finished.id] = finished
                whole += len(line)
        return whole
