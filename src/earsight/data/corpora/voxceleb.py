"""VoxCeleb1 for naming speakers (SID): the official list says which clip is in which split.

`iden_split.txt` has lines `SPLIT SPEAKER/VIDEO/CLIP.wav`, with 1 to train on, 2 to check and 3 to
test with. Sounds lie in the folder itself or in `wav`, `dev/wav`, `test/wav`.
Source: Nagrani, Chung, Zisserman, "VoxCeleb: a large-scale speaker identification dataset", 2017.
"""

from collections.abc import Iterator
from pathlib import Path

from earsight.data.corpora.official_files import need_file
from earsight.data.corpus import Split
from earsight.data.source_clips import Source, SourceClip
from earsight.errors import InputError

LIST = "iden_split.txt"
SPLIT_OF_NUMBER: dict[str, Split] = {"1": "train", "2": "valid", "3": "test"}
PUBLISHED: dict[Split, int] = {"train": 138_361, "valid": 6_904, "test": 8_251}
_ROOTS = (".", "wav", "dev/wav", "test/wav", "dev", "test")
_LISTED = 5


def is_voxceleb(folder: Path) -> bool:
    """Whether the official list lies in a folder."""
    return (folder / LIST).is_file()


def voxceleb_source(folder: Path) -> Source:
    """Listed clips that are here; classes are all speakers of the list, so that numbers stay.

    Raises InputError for lines that do not fit, and where no clip is here.
    """
    path = need_file(folder / LIST)
    roots = [folder / root for root in _ROOTS if (folder / root).is_dir()]
    clips: list[SourceClip] = []
    absent: list[str] = []
    speakers: set[str] = set()
    for name, split in _lines(path):
        speaker, video, _ = name.split("/")
        speakers.add(speaker)
        media = next((root / name for root in roots if (root / name).is_file()), None)
        if media is None:
            absent.append(name)
            continue
        clips.append(
            SourceClip(
                id=name.rpartition(".")[0],
                split=split,
                class_name=speaker,
                media=media,
                has_picture=False,
                notes={"speaker": speaker, "video": video},
            )
        )
    if not clips:
        raise InputError(
            f"none of the {len(absent)} clips of {path} is here: expected {folder / absent[0]} or "
            f"{folder / 'wav' / absent[0]}"
        )
    return Source(
        name="voxceleb",
        kind="voxceleb",
        class_names=tuple(sorted(speakers)),
        clips=clips,
        rule=f"class: the speaker; official list {LIST}",
        published=PUBLISHED,
        absent=tuple(absent),
    )


def _lines(path: Path) -> Iterator[tuple[str, Split]]:
    wrong: list[str] = []
    read: list[tuple[str, Split]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        split, _, name = line.strip().partition(" ")
        parts = name.strip().split("/")
        if split in SPLIT_OF_NUMBER and len(parts) == 3 and not {"", ".", ".."} & set(parts):
            read.append((name.strip(), SPLIT_OF_NUMBER[split]))
        elif line.strip():
            wrong.append(f"line {number} ({line[:40]})")
    if wrong or not read:
        raise InputError(
            f"{path}: expected lines of 1, 2 or 3 and SPEAKER/VIDEO/CLIP.wav; {len(wrong)} do not "
            f"fit: {', '.join(wrong[:_LISTED]) or 'the list is empty'}"
        )
    yield from read
