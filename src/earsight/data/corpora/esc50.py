"""ESC-50: 2000 clips of 5 s of 50 environmental sounds, in five official folds.

A folder holds `audio/` and `meta/esc50.csv`, whose column esc10 marks the clips of ESC-10.
Source: Piczak, ESC: Dataset for Environmental Sound Classification, ACM MM 2015.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from earsight.data.records import Record
from earsight.errors import InputError

TABLE = "meta/esc50.csv"
NUM_FOLDS = 5
CATEGORIES = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow",
    "rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds", "water_drops", "wind",
    "pouring_water", "toilet_flush", "thunderstorm",
    "crying_baby", "sneezing", "clapping", "breathing", "coughing", "footsteps", "laughing",
    "brushing_teeth", "snoring", "drinking_sipping",
    "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening",
    "washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking",
    "helicopter", "chainsaw", "siren", "car_horn", "engine", "train", "church_bells", "airplane",
    "fireworks", "hand_saw",
)  # fmt: skip
"""Categories; a category's place is its number in the table."""
CLASSES = tuple(category.replace("_", " ") for category in CATEGORIES)
_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")
_LISTED = 5


def is_esc50(folder: Path) -> bool:
    """Whether a folder has ESC-50's table."""
    return (folder / TABLE).is_file()


def read_esc50(folder: Path, *, esc10: Sequence[str] | None = None) -> list[Record]:
    """Clips of the table in its order; with ESC-10's categories those that it marks as ESC-10's.

    Raises InputError that names the rows that do not fit, and where no row is left.
    """
    table = folder / TABLE
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and (missing := [name for name in _COLUMNS if name not in rows[0]]):
        raise InputError(f"{table} has no column {', '.join(missing)}: expected ESC-50's table")
    records: list[Record] = []
    problems: list[str] = []
    for row in rows:
        if esc10 is not None and row["esc10"].strip().lower() != "true":
            continue
        path = folder / "audio" / Path(row["filename"]).name
        category = row["category"]
        if esc10 is not None and category not in esc10:
            problems.append(f"{path.name}: category '{category}' is none of ESC-10")
            continue
        found = _record(row, path)
        if isinstance(found, Record):
            records.append(found)
        else:
            problems.append(found)
    if problems or not records:
        listed = "; ".join(problems[:_LISTED]) or "there is none, or none that is marked esc10"
        raise InputError(f"{table}: {len(problems)} rows do not fit: {listed}")
    return records


def _record(row: Mapping[str, str], path: Path) -> Record | str:
    """A row's record, or why it is none."""
    category, fold = row["category"], row["fold"]
    if category not in CATEGORIES:
        return f"{path.name}: category '{category}' is none of ESC-50"
    if not (fold.isdigit() and 1 <= int(fold) <= NUM_FOLDS):
        return f"{path.name}: fold '{fold}' is not 1 to {NUM_FOLDS}"
    if not path.is_file():
        return f"{path.name}: missing in {path.parent}"
    index = CATEGORIES.index(category)
    return Record(
        id=path.stem,
        path=path,
        class_index=index,
        class_name=CLASSES[index],
        fold=int(fold),
        source_id=row["src_file"],
    )
