"""ESC-10: 400 clips of 5 s of ten environmental sounds, in five official folds.

Reads the corpus's own folder (`001 - Dog bark/FOLD-CLIPID-TAKE.ogg`) and an ESC-50 folder
(`meta/esc50.csv` beside `audio/`), of which only the rows marked esc10 are taken. The first
number of a file name is the fold, the second the recording at freesound.org.
Source: Piczak, ESC: Dataset for Environmental Sound Classification, ACM MM 2015.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from earsight.data.corpora.esc50 import NUM_FOLDS, is_esc50, read_esc50
from earsight.data.records import Record
from earsight.errors import InputError

CLASSES = (
    "dog bark",
    "rain",
    "sea waves",
    "baby cry",
    "clock tick",
    "person sneeze",
    "helicopter",
    "chainsaw",
    "rooster",
    "fire crackling",
)
ESC50_CATEGORIES = (
    "dog",
    "rain",
    "sea_waves",
    "crying_baby",
    "clock_tick",
    "sneezing",
    "helicopter",
    "chainsaw",
    "rooster",
    "crackling_fire",
)
CLIP_SECONDS = 5.0
HELD_OUT_FOLD = 5
TRAIN_FOLDS = (1, 2, 3, 4)
LICENCE = "CC BY 3.0 or CC0 1.0, clip by clip (freesound.org)"
ATTRIBUTION = (
    "ESC-10, K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia "
    "2015, github.com/karolpiczak/ESC-10; clips by the freesound.org users whose recordings are "
    "listed by number"
)
_SUFFIXES = (".ogg", ".wav", ".flac")


def read_esc10(folder: Path) -> list[Record]:
    """Records of the corpus in either layout, ordered by class and file name.

    Raises InputError when the folder is neither layout, or a file name or row does not fit; every
    such file or row is named.
    """
    records = _read_esc50(folder) if is_esc50(folder) else _read_own(folder)
    return sorted(records, key=lambda record: (record.class_index, record.id))


def class_index(name: str) -> int:
    """Index of a class by its name ('dog bark', 'Dog bark', 'dog_bark').

    Raises InputError that lists the ten names.
    """
    plain = name.strip().lower().replace("_", " ")
    if plain not in CLASSES:
        raise InputError(f"no class '{name}': expected one of {', '.join(CLASSES)}")
    return CLASSES.index(plain)


def attribution(records: Iterable[Record]) -> str:
    """Credit line with the freesound.org numbers of all recordings used."""
    numbers = sorted({record.source_id for record in records}, key=int)
    return f"{ATTRIBUTION}: {', '.join(numbers)}. Licence: {LICENCE}."


def _read_own(folder: Path) -> list[Record]:
    folders = (
        [path for path in sorted(folder.glob("*")) if path.is_dir()] if folder.is_dir() else []
    )
    by_class = {path: path.name.partition(" - ")[2].lower() for path in folders}
    known = {path: name for path, name in by_class.items() if name in CLASSES}
    if not known:
        raise InputError(
            f"{folder} is no ESC-10 folder: expected '001 - Dog bark' and so on, or an ESC-50 "
            "folder with meta/esc50.csv"
        )
    records: list[Record] = []
    wrong: list[str] = []
    for class_folder, name in known.items():
        for path in sorted(class_folder.iterdir()):
            if path.suffix.lower() not in _SUFFIXES:
                continue
            record = _named(path, CLASSES.index(name))
            if record is None:
                wrong.append(f"{class_folder.name}/{path.name}")
            else:
                records.append(record)
    if wrong:
        raise InputError(
            f"{len(wrong)} file names are not FOLD-CLIPID-TAKE: {', '.join(wrong[:5])}"
        )
    return records


def _named(path: Path, index: int) -> Record | None:
    fold, _, rest = path.stem.partition("-")
    source_id, _, take = rest.partition("-")
    if not (fold.isdigit() and 1 <= int(fold) <= NUM_FOLDS and source_id.isdigit() and take):
        return None
    return Record(
        id=path.stem,
        path=path,
        class_index=index,
        class_name=CLASSES[index],
        fold=int(fold),
        source_id=source_id,
    )


def _read_esc50(folder: Path) -> list[Record]:
    numbers = {name.replace("_", " "): index for index, name in enumerate(ESC50_CATEGORIES)}
    return [
        replace(
            record,
            class_index=numbers[record.class_name],
            class_name=CLASSES[numbers[record.class_name]],
        )
        for record in read_esc50(folder, esc10=ESC50_CATEGORIES)
    ]
