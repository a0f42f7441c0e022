"""Class names: lists that come with the package, and lists of a user's own.

AudioSet's names are those of its table `class_labels_indices.csv` (Gemmeke et al., "Audio Set: an
ontology and human-labeled dataset for audio events", 2017; CC BY 4.0).
"""

import csv
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from earsight.checkpoints.narrow import is_dict
from earsight.errors import InputError

FOLDER = Path(__file__).parent / "corpora"
AUDIOSET_SHA256 = "83e2e4fd16cbe86f94f3fe23954a4d302c013e20e7981b5ce7466e50126a1e3d"


@cache
def stored_names(file_name: str, *, sha256: str) -> tuple[str, ...]:
    """The lines of a list in `data/corpora`; raises InputError where it was changed."""
    content = (FOLDER / file_name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{file_name} was changed: expected sha256 {sha256}, found {found}; "
            "install the package again"
        )
    return tuple(content.decode("ascii").splitlines())


def audioset_names() -> tuple[str, ...]:
    """The 527 classes; a name's place is its number in every published model."""
    return stored_names("audioset_classes.txt", sha256=AUDIOSET_SHA256)


def read_names(path: Path) -> tuple[str, ...]:
    """Names in a file, in the order of the classes' numbers.

    A name a line; a .csv with a column `display_name` or `name`, and `index` where it is not
    sorted; a .json with a list, or names by number. Raises InputError for anything else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected readable class names ({error})") from error
    match path.suffix.lower():
        case ".csv":
            names = _from_table(path, text)
        case ".json":
            names = _from_json(path, text)
        case _:
            names = [line.strip() for line in text.splitlines()]
    if not names or not all(names):
        raise InputError(f"{path}: expected a name for every class, found {len(names)} names")
    return tuple(names)


def _from_table(path: Path, text: str) -> list[str]:
    rows = list(csv.DictReader(text.splitlines()))
    columns = list(rows[0]) if rows else []
    column = next((name for name in ("display_name", "name") if name in columns), None)
    if column is None:
        raise InputError(
            f"{path}: expected a column 'display_name' or 'name', found {', '.join(columns)}"
        )
    listed = {row.get("index") or str(place): row[column] or "" for place, row in enumerate(rows)}
    return _in_order(path, listed)


def _from_json(path: Path, text: str) -> list[str]:
    try:
        told: Any = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: expected readable JSON ({error})") from error
    if isinstance(told, list):
        return [str(name) for name in cast(list[Any], told)]
    if is_dict(told):
        return _in_order(path, {str(number): str(name) for number, name in told.items()})
    raise InputError(f"{path}: expected a list of names, or names by number")


def _in_order(path: Path, listed: dict[str, str]) -> list[str]:
    wanted = [str(number) for number in range(len(listed))]
    if missing := [number for number in wanted if number not in listed]:
        raise InputError(
            f"{path}: expected the classes 0 to {len(listed) - 1}, each once; "
            f"{', '.join(missing[:5])} missing"
        )
    return [listed[number] for number in wanted]
