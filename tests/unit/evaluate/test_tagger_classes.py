"""A network's classes are found for a corpus's, or the missing ones are named."""

from pathlib import Path

import numpy as np
import pytest

from earsight.data.class_lists import audioset_names
from earsight.data.corpora import esc10, esc50
from earsight.errors import InputError
from earsight.evaluate.tagger_classes import match_classes, read_classes, told_classes

OWN = ("Bark", "Rain", "Dog", "sea_waves")


def test_classes_match_by_name_number_and_as_told(tmp_path: Path) -> None:
    assert match_classes(OWN, 4, ("sea waves", "rain")).columns == ((3,), (1,))
    assert match_classes((), 2, ("a", "b")).columns == ((0,), (1,))
    path = tmp_path / "classes.json"
    path.write_text('{"dog bark": ["Dog", "bark"], "rain": 1}')
    match = match_classes(OWN, 4, ("dog bark", "rain"), read_classes(path))
    assert match.columns == ((2, 0), (1,))
    assert match.of_corpus(np.array([[0.3, 0.2, 0.1, 0.9]])).tolist() == [[0.3, 0.2]]


def test_sounds_of_esc_are_told_by_classes_of_audioset() -> None:
    names = audioset_names()
    for corpus in (esc50.CLASSES, esc10.CLASSES):
        match = match_classes(names, len(names), corpus, told_classes("audioset"))
        assert len(match.columns) == len(corpus)
    dog = match_classes(names, len(names), ("dog", "rain"), told_classes("audioset")).columns[0]
    assert [names[column] for column in dog] == ["Dog", "Bark"]


def test_classes_without_a_match_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 of the corpus's 3: 'Dogs' \(nearest: dog\), 'chime'"):
        match_classes(OWN, 4, ("Dogs", "rain", "chime"))
    with pytest.raises(InputError, match="no class names and has 5 classes, the corpus 2"):
        match_classes((), 5, ("a", "b"))
    with pytest.raises(InputError, match=r"'rain' \(told: 7\)"):
        match_classes((), 5, ("rain", "b"), {"rain": [7], "b": [0]})
    path = tmp_path / "classes.json"
    path.write_text('{"rain": true}')
    with pytest.raises(InputError, match="for 'rain' expected"):
        read_classes(path)
