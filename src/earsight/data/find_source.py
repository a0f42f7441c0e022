"""Recognises what lies in a folder that is to be prepared.

A Foley Room folder, ESC-10, ESC-50, FSDD, Speech Commands, VoxCeleb and AudioSet in their official
layouts, the videos of VGGSound or VAS with their official lists, a table (.csv), or any folder of
videos or sounds.
"""

from collections.abc import Sequence
from pathlib import Path

from earsight.data.corpora import vas, vggsound
from earsight.data.corpora.audioset import audioset_source, is_audioset
from earsight.data.corpora.esc10 import HELD_OUT_FOLD
from earsight.data.corpora.esc10_corpus import VALID_FOLD, is_esc, open_esc
from earsight.data.corpora.fsdd import fsdd_source, is_fsdd
from earsight.data.corpora.official_files import find_list, listed_file, read_names
from earsight.data.corpora.speech_commands import is_speech_commands, speech_commands_source
from earsight.data.corpora.voxceleb import is_voxceleb, voxceleb_source
from earsight.data.corpus import SPLITS, Split
from earsight.data.foley_room_folder import foley_room_source, is_foley_room
from earsight.data.media_folder import folder_source, table_source
from earsight.data.prepared import is_prepared
from earsight.data.source_clips import Source, SourceClip, SplitRule
from earsight.errors import InputError


def find_source(
    path: str | Path, rule: SplitRule | None = None, *, label: str | None = None
) -> Source:
    """The clips of a corpus, with labels and splits. `rule` holds where the corpus names no split.

    `label` says what the classes are where a corpus lets one choose: "digit" or "speaker" (FSDD),
    "words" or "commands" (Speech Commands), "esc50" or its part "esc10"; the first is the default.
    Raises InputError for what is not there, is prepared already, or does not fit its layout.
    """
    place = Path(path)
    if place.is_dir() and not is_prepared(place):
        if is_esc(place):
            return _esc(place, label)
        if is_fsdd(place):
            return fsdd_source(place, label)
        if is_speech_commands(place):
            return speech_commands_source(place, label)
    if label is not None:
        raise InputError(f"{place} has no label '{label}': its classes cannot be chosen")
    return _without_choice(place, rule or SplitRule())


def _without_choice(place: Path, rule: SplitRule) -> Source:
    """Sources whose classes are what they are."""
    if place.is_file() and place.suffix.lower() == ".csv":
        return table_source(place, rule)
    if not place.is_dir():
        raise InputError(f"no corpus at {place}: expected a folder or a table (.csv)")
    if is_foley_room(place):
        return foley_room_source(place)
    if is_prepared(place):
        raise InputError(f"{place} is prepared already: give the folder it was prepared from")
    if (place / "video").is_dir() and listed_file(place, vggsound.LABELS_FILE):
        return _vggsound(place)
    if (place / "videos").is_dir() and any(listed_file(place, f"vas_{s}.txt") for s in SPLITS):
        return _vas(place)
    if is_voxceleb(place):
        return voxceleb_source(place)
    if is_audioset(place):
        return audioset_source(place)
    return folder_source(place, rule)


def _esc(folder: Path, part: str | None) -> Source:
    corpus = open_esc(folder, part)
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
    fold_clips = 8 * len(corpus.class_names)
    return Source(
        name=corpus.name,
        kind=corpus.name,
        class_names=corpus.class_names,
        clips=clips,
        rule=f"official folds: {HELD_OUT_FOLD} is test, {VALID_FOLD} is valid",
        published={"train": 3 * fold_clips, "valid": fold_clips, "test": fold_clips},
    )


def _vggsound(folder: Path) -> Source:
    labels = vggsound.read_labels(find_list(folder, vggsound.LABELS_FILE))
    known = set(vggsound.class_names())
    names = vggsound.class_names() if set(labels.values()) <= known else sorted(labels.values())
    clips: list[SourceClip] = []
    for split in SPLITS:
        if not listed_file(folder, f"vggsound_{split}.txt"):
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
        if not listed_file(folder, f"vas_{split}.txt"):
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
