"""Speech Commands 1 and 2: folders of words, `validation_list.txt` and `testing_list.txt`.

Source: Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition", 2018
(CC BY 4.0).
"""

import wave
from collections.abc import Iterator, Mapping
from pathlib import Path

from earsight.data.corpora.official_files import read_names
from earsight.data.corpus import Split
from earsight.data.source_clips import Source, SourceClip, chosen_label
from earsight.errors import InputError

LABELS = ("words", "commands")
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "unknown", "silence"
NOISE_FOLDER = "_background_noise_"
LISTS: dict[str, Split] = {"validation_list.txt": "valid", "testing_list.txt": "test"}
TEST_SETS = ("speech_commands_test_set_v0.01", "speech_commands_test_set_v0.02")
NUM_WORDS_V1 = 30
PUBLISHED: dict[str, dict[Split, int]] = {
    "speech_commands_v1": {"train": 51_088, "valid": 6_798, "test": 6_835},
    "speech_commands_v2": {"train": 84_843, "valid": 9_981, "test": 11_005},
}
SHORTEST_SECONDS = 0.05
_OF_TEN: Mapping[int, Split] = {8: "valid", 9: "test"}


def is_speech_commands(folder: Path) -> bool:
    """Whether both official lists lie in a folder."""
    return all((folder / name).is_file() for name in LISTS)


def speech_commands_source(folder: Path, label: str | None = None) -> Source:
    """Every word with its speaker; "words" are classes, or with label "commands" twelve are.

    The twelve are ten words, "unknown" for all other words and "silence": seconds of the noise
    files, of every ten of a file eight to train on, one to check and one to test with. Where the
    official test set of the twelve lies inside the folder or beside it, it is "test" instead.
    Raises InputError for another label, and for lists that do not fit.
    """
    label = chosen_label("Speech Commands", label, LABELS)
    listed: dict[str, Split] = {
        name: split for file, split in LISTS.items() for name in read_names(folder / file)
    }
    words = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._")
    words = [word for word in words if word not in TEST_SETS]
    found = [path for word in words for path in sorted((folder / word).glob("*.wav"))]
    names = {path.relative_to(folder).as_posix() for path in found}
    clips = [_word(path, listed, label) for path in found]
    name = f"speech_commands_v{1 if len(words) <= NUM_WORDS_V1 else 2}"
    classes, rule = tuple(words), "class: the word; official lists"
    if label == "commands":
        clips += _silence(folder)
        classes, rule = (*COMMANDS, UNKNOWN, SILENCE), "ten words, unknown, silence; official lists"
        if (test_set := _test_set(folder)) is not None:
            clips = [clip for clip in clips if clip.split != "test"] + list(_test(test_set))
            rule += f"; test: {test_set.name}"
    if not found:
        raise InputError(f"{folder}: no word is here: expected folders such as {folder}/yes")
    return Source(
        name=name,
        kind="speech_commands",
        class_names=classes,
        clips=clips,
        rule=rule,
        published=PUBLISHED[name] if label == "words" else {},
        absent=tuple(sorted(set(listed) - names)),
    )


def _word(path: Path, listed: dict[str, Split], label: str) -> SourceClip:
    word, name = path.parent.name, path.name
    known = label == "words" or word in COMMANDS
    return SourceClip(
        id=f"{word}/{path.stem}",
        split=listed.get(f"{word}/{name}", "train"),
        class_name=word if known else UNKNOWN,
        media=path,
        has_picture=False,
        shortest_seconds=SHORTEST_SECONDS,
        notes={"word": word, "speaker": name.partition("_")[0]},
    )


def _silence(folder: Path) -> Iterator[SourceClip]:
    for path in sorted((folder / NOISE_FOLDER).glob("*.wav")):
        for second in range(_whole_seconds(path)):
            yield SourceClip(
                id=f"{SILENCE}/{path.stem}_{second}",
                split=_OF_TEN.get(second % 10, "train"),
                class_name=SILENCE,
                media=path,
                has_picture=False,
                start_seconds=float(second),
                seconds=1.0,
            )


def _whole_seconds(path: Path) -> int:
    try:
        with wave.open(str(path)) as file:
            return file.getnframes() // file.getframerate()
    except (wave.Error, EOFError) as error:
        raise InputError(f"{path} is no whole wav file ({error}): get it again") from error


def _test_set(folder: Path) -> Path | None:
    places = [place / name for place in (folder, folder.absolute().parent) for name in TEST_SETS]
    return next((place for place in places if place.is_dir()), None)


def _test(folder: Path) -> Iterator[SourceClip]:
    """The official test set of the twelve classes, a folder each."""
    for path in sorted(folder.glob("*/*.wav")):
        name = path.parent.name.strip("_")
        yield SourceClip(
            id=f"official_test/{name}/{path.stem}",
            split="test",
            class_name=name,
            media=path,
            has_picture=False,
            shortest_seconds=SHORTEST_SECONDS,
        )
