"""Any folder, or table, of videos or sounds as clips to prepare.

A folder gives labels by its sub-folders: `<label>/clip.mp4` or `<split>/<label>/clip.mp4`; files
that lie in none have no label. A table (.csv with a header) has a column `path`, and may have
`label`, `split`, `fold` (a number), `start` and `end` (seconds); paths are relative to the table.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from earsight.data.source_clips import (
    SPLIT_NAMES,
    Source,
    SourceClip,
    SplitRule,
    clean_id,
    media_kind,
)
from earsight.errors import InputError

COLUMNS = ("path", "label", "split", "fold", "start", "end")
_LISTED = 5


def folder_source(folder: Path, rule: SplitRule) -> Source:
    """Every video and sound below a folder, by name; hidden files and folders are left out.

    Raises InputError where there is none.
    """
    clips: list[SourceClip] = []
    names: list[str] = []
    has_splits = _named_by_splits(folder)
    for path in media_below(folder):
        parts = path.relative_to(folder).parts[:-1]
        split = None
        if has_splits and parts:
            split, parts = SPLIT_NAMES.get(parts[0].lower()), parts[1:]
        name = path.relative_to(folder).as_posix()
        names.append(name)
        clips.append(
            SourceClip(
                id=clean_id(name.removesuffix(path.suffix)),
                split=split or rule.split(name),
                class_name=parts[0] if parts else None,
                media=path,
                has_picture=bool(media_kind(path)),
            )
        )
    if not clips:
        raise InputError(
            f"{folder} holds no video and no sound: expected files such as {folder}/rain/one.mp4"
        )
    if not has_splits:
        clips = _with_held_out(clips, names, rule)
    return _source(folder.absolute().name, clips, "sub-folders", rule, has_splits=has_splits)


def table_source(table: Path, rule: SplitRule) -> Source:
    """The clips of a table. Raises InputError that names every row that does not fit."""
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = list(reader)
    unknown = sorted(set(columns) - set(COLUMNS))
    if "path" not in columns or unknown:
        raise InputError(
            f"{table}: expected a header with the columns {', '.join(COLUMNS)} (path alone is "
            f"needed), found {', '.join(columns) or 'nothing'}"
        )
    clips: list[SourceClip] = []
    problems: list[str] = []
    for number, row in enumerate(rows, start=2):
        try:
            clips.append(_row(row, table.parent, rule))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems or not clips:
        listed = "; ".join(problems[:_LISTED]) or "it has no rows"
        raise InputError(f"{table}: {len(problems)} rows do not fit: {listed}")
    has_splits = "split" in columns
    if not has_splits:
        names = [Path(str(row["path"]).strip()).as_posix() for row in rows]
        clips = _with_held_out(clips, names, rule)
    return _source(table.stem, clips, "the table", rule, has_splits=has_splits)


def _with_held_out(
    clips: list[SourceClip], names: Sequence[str], rule: SplitRule
) -> list[SourceClip]:
    """The clips, more of them to validate by where chance left too few; `names` of their files."""
    moved = rule.next_in_line([(name, clip.split) for name, clip in zip(names, clips, strict=True)])
    return [
        replace(clip, split="valid") if name in moved else clip
        for name, clip in zip(names, clips, strict=True)
    ]


def _row(row: Mapping[str, str | None], folder: Path, rule: SplitRule) -> SourceClip:
    cells = {key: (value or "").strip() for key, value in row.items() if key}
    if not cells["path"]:
        raise InputError("no path")
    path = Path(cells["path"])
    start, end = (_seconds(cells.get(name, ""), name) for name in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise InputError(f"end {end:g} s is not after start {start or 0:g} s")
    named = cells.get("split", "").lower()
    if named and named not in SPLIT_NAMES:
        raise InputError(f"split '{named}' is none of train, valid, test")
    fold = cells.get("fold", "")
    if fold and not fold.isdecimal():
        raise InputError(f"fold '{fold}' is no whole number")
    clip_id = clean_id(path.as_posix().removesuffix(path.suffix).replace("..", "_"))
    if start is not None or end is not None:
        last = "end" if end is None else str(round(end * 1000))
        clip_id += f"_{round((start or 0) * 1000)}_{last}"
    return SourceClip(
        id=clip_id,
        split=SPLIT_NAMES[named] if named else rule.split(path.as_posix()),
        class_name=cells.get("label") or None,
        media=folder / path,
        has_picture=media_kind(path) is not False,
        start_seconds=start or 0.0,
        seconds=None if end is None else end - (start or 0.0),
        notes={"fold": int(fold)} if fold else {},
    )


def _seconds(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{name} '{text}' is no number of seconds") from None
    if not 0 <= value < 86400:
        raise InputError(f"{name} {text} s is not between 0 and a day")
    return value


def _source(
    name: str, clips: list[SourceClip], labels: str, rule: SplitRule, *, has_splits: bool
) -> Source:
    found = sorted({clip.class_name for clip in clips if clip.class_name is not None})
    said = f"by {labels}" if has_splits else rule.in_words()
    return Source(
        name=name,
        kind="media",
        class_names=tuple(found),
        clips=_apart(clips),
        rule=f"labels by {labels}; splits {said}",
    )


def _apart(clips: list[SourceClip]) -> list[SourceClip]:
    """The same clips with ids that differ: by the file's ending, then by a number."""
    # upper and lower case are one name on some file systems
    count = Counter(clip.id.lower() for clip in clips)
    taken: set[str] = set()
    apart: list[SourceClip] = []
    for clip in clips:
        clip_id = clip.id
        if count[clip_id.lower()] > 1:
            clip_id += clip.media.suffix.lower().replace(".", "-")
        number, numbered = 1, clip_id
        while numbered.lower() in taken:
            number += 1
            numbered = f"{clip_id}-{number}"
        taken.add(numbered.lower())
        apart.append(replace(clip, id=numbered))
    return apart


def _named_by_splits(folder: Path) -> bool:
    """Whether every visible sub-folder is named after a split."""
    names = [p.name.lower() for p in folder.iterdir() if p.is_dir() and p.name[0] != "."]
    return bool(names) and set(names) <= set(SPLIT_NAMES)


def media_below(folder: Path) -> Iterator[Path]:
    """Videos and sounds below a folder, by name; hidden files and folders are left out."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root) / name
            if not name.startswith(".") and media_kind(path) is not None:
                yield path
