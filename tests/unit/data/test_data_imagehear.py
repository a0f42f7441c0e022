"""ImageHear's table and its rule for a hit."""

from collections import Counter

import pytest
import torch

from earsight.data.corpora.imagehear import (
    class_of_vggsound_label,
    imagehear_accuracy,
    imagehear_classes,
    images_to_sound,
    zeroed_classes,
)
from earsight.data.corpora.vggsound import class_names
from earsight.errors import InputError


def one_hot(*indices: int) -> torch.Tensor:
    return torch.eye(527)[list(indices)]


def test_table_has_30_classes_with_100_pictures() -> None:
    classes = imagehear_classes()
    assert len(classes) == 30
    images = [image for item in classes.values() for image in item.images]
    assert len(images) == len(set(images)) == 100
    assert "people4.jpg" not in images
    assert set(class_of_vggsound_label()) <= set(class_names())
    assert class_of_vggsound_label()["police car (siren)"] == "Police"
    accepted = {index for item in classes.values() for index in item.audioset_indices}
    assert len(zeroed_classes()) == 33
    assert accepted.isdisjoint(zeroed_classes().values())


def test_general_answers_are_passed_over() -> None:
    music, dog, bass = zeroed_classes()["Music"], 74, 142
    scores = 0.9 * one_hot(music, music, 0) + 0.1 * one_hot(dog, dog, bass)
    assert imagehear_accuracy(scores[:1], ["Dog"]) == 100.0
    accuracy = imagehear_accuracy(scores, ["Dog", "Bass", "People"])
    assert accuracy == pytest.approx(200 / 3)


def test_pictures_are_repeated_cut_and_sorted() -> None:
    counts = Counter(images_to_sound("Guitar"))
    assert sum(counts.values()) == 120
    assert set(counts.values()) == {15}
    assert images_to_sound("Dog", num_sounds=4) == ("dog1.jpg", "dog1.jpg", "dog2.jpg", "dog3.jpg")


def test_refusals() -> None:
    with pytest.raises(InputError, match="no ImageHear class 'Wolf'"):
        imagehear_accuracy(one_hot(3), ["Wolf"])
    with pytest.raises(InputError, match="apply softmax"):
        imagehear_accuracy(-one_hot(3), ["Dog"])
    with pytest.raises(InputError, match="got 0/1"):
        imagehear_accuracy(one_hot(3), [])
    with pytest.raises(InputError, match="expected 527 AudioSet classes, got 2"):
        imagehear_accuracy(torch.rand(1, 2), ["Dog"])
