"""What the commands that hear sounds share: their inputs, and the answer without a model."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earsight.errors import InputError

SOUND_SUFFIXES = {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".wma"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp"),
}


@dataclass(frozen=True, slots=True)
class SoundInput:
    """A file to hear, and the name of what is written about it, a path without an ending."""

    path: Path
    name: Path

    def beside(self, folder: Path, ending: str) -> Path:
        """The file of this name in a folder."""
        return folder / self.name.parent / f"{self.name.name}{ending}"


def sound_files(inputs: list[Path]) -> list[SoundInput]:
    """Files named directly, and sounds and videos in folders and below them (sorted).

    What is found in a folder is named by its place in it, other files by their name, with as
    many folders before it as tell two apart. Endings are left away unless files differ in nothing
    else. Raises InputError for a folder without any, and where names stay alike.
    """
    found = _told_apart(dict(_walk(inputs)))  # a file that is named twice is heard once
    bare = Counter(place.with_suffix("") for place in found.values())
    named = {
        path: place if bare[place.with_suffix("")] > 1 else place.with_suffix("")
        for path, place in found.items()
    }
    first: dict[Path, Path] = {}
    for path, name in named.items():
        if (other := first.setdefault(name, path)) != path:
            raise InputError(
                f"{path} and {other} would have outputs of one name: give them in two calls"
            )
    return [SoundInput(path, name) for path, name in named.items()]


def wanted_model(model: str | None, *, names: str) -> str:
    """The model that was asked for, else the bundled one; InputError where there is neither."""
    from earsight.generate.bundles import BUNDLED, LISTENING_FOLDER

    if model not in (None, BUNDLED):
        return model
    if LISTENING_FOLDER.is_dir():
        return BUNDLED
    raise InputError(
        "no weights for this come with the package: give --model NAME_OR_FOLDER. Published "
        f"weights ({names}; 'earsight weights list' shows all) are installed by 'earsight "
        "weights fetch NAME' and 'earsight weights convert NAME'; a folder of a network "
        "that you trained works as well"
    )


def _walk(inputs: list[Path]) -> Iterator[tuple[Path, Path]]:
    for path in inputs:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        found = sorted(p for p in path.rglob("*") if _is_sound(p.relative_to(path)))
        if not found:
            raise InputError(f"{path} holds no sound or video: give files or another folder")
        yield from ((p, p.relative_to(path)) for p in found)


def _told_apart(places: dict[Path, Path]) -> dict[Path, Path]:
    """The same files; those of one place are named from their lowest common folder on."""
    alike: dict[Path, list[Path]] = {}
    for path, place in places.items():
        alike.setdefault(place, []).append(path.absolute())
    return {
        path: place
        if len(alike[place]) == 1
        else path.absolute().relative_to(os.path.commonpath(alike[place]))
        for path, place in places.items()
    }


def _is_sound(place: Path) -> bool:
    # hidden files are leftovers of other programs, such as macOS's ._NAME.wav
    hidden = any(part.startswith(".") for part in place.parts)
    return place.suffix.lower() in SOUND_SUFFIXES and not hidden
