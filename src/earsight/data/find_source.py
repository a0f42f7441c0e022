"""Recognises what lies in a folder that is to be prepared.

A Foley Room folder, ESC-10 (also inside ESC-50), the videos of VGGSound or VAS with their official
lists, a table (.csv), or any folder of videos or sounds.
"""

from collections.abc import Sequence
from pathlib import Path

from earsight.data.corpora import vas, vggsound
from earsight.data.corpora.esc10 import HELD_OUT_FOLD
from earsight.data.corpora.esc10_corpus import ESC10, VALID_FOLD, is_esc
from earsight.data.corpora.official_files import find_list, read_names
from earsight.data.corpus import SPLITS, Split
from earsight.data.foley_room_folder import foley_room_source, is_foley_room
from earsight.data.media_folder import folder_source, table_source
from earsight.data.prepared import is_prepared
from earsight.data.source_clips import Source, SourceClip, SplitRule
from earsight.errors import InputError


def find_source(path: str | Path, rule: SplitRule | None = None) -> Source:
    """The clips of a corpus, with labels and splits. `rule` holds where the corpus names no split.

    Raises InputError for what is not there, is prepared already, or does not fit its layout.
    """
    place = Path(path)
    rule = rule or SplitRule()
    if place.is_file() and place.suffix.lower() == ".csv":
        return table_source(place, rule)
    if not place.is_dir():
        raise InputError(f"no corpus at {place}: expected a folder or a table (.csv)")
    if is_foley_room(place):
        return foley_room_source(place)
    if is_prepared(place):
        raise InputError(f"{place} is prepared already: give the folder it was prepared from")
    if is_esc(place):
        return _esc10(place)
    if (place / "video").is_dir() and _listed(place, vggsound.LABELS_FILE):
        return _vggsound(place)
    if (place / "videos").is_dir() and any(_listed(place, f"vas_{s}.txt") for s in SPLITS):
        return _vas(place)
    return folder_source(place, rule)


def _esc10(folder: Path) -> Source:
    corpus = ESC10(folder)
    clips = [
        SourceClip(
            id=record.id,
            split=split,
            class_name=record.class_name,
            media=record.source,
            has_picture=False,
            notes=record.notes,
        )
        for split in SPLITS
        for record in corpus.records(split)
    ]
    return Source(
        name=corpus.name,
        kind="esc10",
        class_names=corpus.class_names,
        clips=clips,
        rule=f"official folds: {HELD_OUT_FOLD} is test, {VALID_FOLD} is valid",
        published={"train": 240, "valid": 80, "test": 80},
    )


def _vggsound(folder: Path) -> Source:
    labels = vggsound.read_labels(find_list(folder, vggsound.LABELS_FILE))
    known = set(vggsound.class_names())
    names = vggsound.class_names() if set(labels.values()) <= known else sorted(labels.values())
    clips: list[SourceClip] = []
    for split in SPLITS:
        if not _listed(folder, f"vggsound_{split}.txt"):
            continue
        for name in read_names(find_list(folder, f"vggsound_{split}.txt")):
            media = folder / "video" / f"{name}.mp4"
            label = labels.get(name[: vggsound.ID_CHARACTERS])
            clips.append(_clip(name, split, label, media))
    published = vggsound.PUBLISHED_SPLITS
    return _official("vggsound", tuple(dict.fromkeys(names)), clips, published, folder)


def _vas(folder: Path) -> Source:
    clips: list[SourceClip] = []
    for split in SPLITS:
        if not _listed(folder, f"vas_{split}.txt"):
            continue
        for name in read_names(find_list(folder, f"vas_{split}.txt")):
            media = folder / "videos" / f"{name}.mp4"
            clips.append(_clip(name, split, name.partition("/")[0], media))
    found = sorted({clip.class_name for clip in clips if clip.class_name})
    names = vas.CLASS_NAMES if set(found) <= set(vas.CLASS_NAMES) else tuple(found)
    return _official("vas", names, clips, vas.PUBLISHED_SPLITS, folder)


def _clip(name: str, split: Split, label: str | None, media: Path) -> SourceClip:
    return SourceClip(id=name, split=split, class_name=label, media=media, has_picture=True)


def _official(
    name: str,
    class_names: tuple[str, ...],
    clips: Sequence[SourceClip],
    published: dict[Split, int],
    folder: Path,
) -> Source:
    if not clips:
        raise InputError(f"{folder}: the official lists of {name} name no clip")
    return Source(
        name=name,
        kind=name,
        class_names=class_names,
        clips=clips,
        rule="official lists",
        published=published,
    )


def _listed(folder: Path, name: str) -> bool:
    return (folder / name).is_file() or (folder.absolute().parent / name).is_file()
