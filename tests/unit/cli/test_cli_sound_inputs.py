"""What outputs are called: one name a file, whatever folders the files come from."""

from pathlib import Path

import pytest

from earsight.cli.sound_inputs import sound_files
from earsight.errors import InputError


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_below_a_folder_keep_their_places(tmp_path: Path) -> None:
    made(tmp_path, "b/dog.wav", "a/dog.wav", "a/cat.mp4", "a/cat.wav", "a/._dog.wav", "note.txt")
    found = sound_files([tmp_path])
    assert [str(sound.name) for sound in found] == ["a/cat.mp4", "a/cat.wav", "a/dog", "b/dog"]
    assert found[2].beside(Path("out"), ".npy") == Path("out/a/dog.npy")
    assert [sound.path for sound in found] == [tmp_path / f"{n}" for n in (
        "a/cat.mp4", "a/cat.wav", "a/dog.wav", "b/dog.wav"
    )]  # fmt: skip


def test_files_named_alike_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    made(tmp_path, "x/1/dog.wav", "y/1/dog.wav", "x/cat.v2.wav")
    paths = [tmp_path / name for name in ("x/1/dog.wav", "y/1/dog.wav", "x/cat.v2.wav")]
    named = [str(sound.name) for sound in sound_files([*paths, paths[0]])]
    assert named == ["x/1/dog", "y/1/dog", "cat.v2"]


def test_a_missing_file_is_kept_for_its_own_error_and_an_empty_folder_is_refused(
    tmp_path: Path,
) -> None:
    assert sound_files([tmp_path / "gone.wav"])[0].path == tmp_path / "gone.wav"
    with pytest.raises(InputError, match="holds no sound or video"):
        sound_files([tmp_path])
