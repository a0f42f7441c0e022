"""What the commands that hear sounds share: their inputs, and the answer without a model."""

from collections.abc import Iterator
from pathlib import Path

from earsight.errors import InputError

SOUND_SUFFIXES = {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".wma"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp"),
}


def sound_files(inputs: list[Path]) -> list[Path]:
    """Files named directly, and sounds and videos in folders and below them (sorted).

    Raises InputError for a folder without any.
    """
    return list(_walk(inputs))


def needed_model(model: str | None, *, names: str) -> str:
    """The model that was asked for; InputError says how to get one where none was."""
    if model is None:
        raise InputError(
            "no weights for this come with the package: give --model NAME_OR_FOLDER. Published "
            f"weights ({names}; 'earsight weights list' shows all) are installed by 'earsight "
            "weights fetch NAME' and 'earsight weights convert NAME'; a folder of a network "
            "that you trained works as well"
        )
    return model


def _walk(inputs: list[Path]) -> Iterator[Path]:
    for path in inputs:
        if not path.is_dir():
            yield path
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SOUND_SUFFIXES)
        if not found:
            raise InputError(f"{path} holds no sound or video: give files or another folder")
        yield from found
