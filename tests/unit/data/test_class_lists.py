"""AudioSet's names are whole and in order; lists of a user's own are read or refused."""

from pathlib import Path

import pytest

from earsight.data.class_lists import audioset_names, read_names
from earsight.errors import InputError


def test_audioset_s_names_lie_at_their_numbers() -> None:
    names = audioset_names()
    assert len(names) == len(set(names)) == 527
    known = {
        0: "Speech",
        1: "Male speech, man speaking",
        74: "Dog",
        137: "Music",
        300: "Vehicle",
        500: "Silence",
        506: "Inside, small room",
        512: "Echo",
        526: "Field recording",
    }
    assert {number: names[number] for number in known} == known


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "dog\ncat, purring\nrain\n"),
        ("a.csv", 'index,mid,display_name\n0,/m/1,dog\n2,/m/3,rain\n1,/m/2,"cat, purring"\n'),
        ("b.csv", 'name\ndog\n"cat, purring"\nrain\n'),
        ("a.json", '["dog", "cat, purring", "rain"]'),
        ("b.json", '{"1": "cat, purring", "0": "dog", "2": "rain"}'),
    ],
)
def test_lists_of_every_kind_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_names(tmp_path / name) == ("dog", "cat, purring", "rain")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.txt", "dog\n\nrain\n", "a name for every class"),
        ("a.csv", "label\ndog\n", "expected a column 'display_name' or 'name', found label"),
        ("a.csv", "index,name\n1,dog\n2,cat\n", "expected the classes 0 to 1, each once; 0"),
        ("a.json", "3", "expected a list of names"),
        ("a.json", "{", "readable JSON"),
    ],
)
def test_other_lists_are_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told):
        read_names(tmp_path / name)
