"""ImageHear: 30 classes of pictures, and which AudioSet classes count as a hit for each.

Sources: Sheffer and Adi, "I hear your true colors: image guided audio generation", 2023, sec. 4;
official repository RoySheffer/im2wav. 100 pictures are used; a 101st of the folder is in no list.

Axes: n sounds, k AudioSet classes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError

TABLE_FILE = Path(__file__).with_name("imagehear.json")
TABLE_SHA256 = "febf7beb9593923f2669b9a52bbc543de988a3f81c1448ba181a155f2701600b"
SOUNDS_PER_CLASS = 120
NUM_AUDIOSET_CLASSES = 527


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageHearClass:
    """One class: its pictures, the VGGSound labels that belong to it, and the accepted answers.

    `audioset` and `audioset_indices` are in the same order; an index is the place among the 527
    classes of AudioSet.
    """

    name: str
    images: tuple[str, ...]
    vggsound: tuple[str, ...]
    audioset: tuple[str, ...]
    audioset_indices: tuple[int, ...]


@cache
def imagehear_classes() -> Mapping[str, ImageHearClass]:
    """The 30 classes by name, in the published order."""
    return {
        name: ImageHearClass(name=name, **{field: tuple(values) for field, values in entry.items()})
        for name, entry in _table()["classes"].items()
    }


@cache
def zeroed_classes() -> Mapping[str, int]:
    """The 33 general AudioSet classes that never count as an answer, and their indices."""
    return dict(_table()["zeroed_audioset_classes"])


@cache
def class_of_vggsound_label() -> Mapping[str, str]:
    """The ImageHear class of every VGGSound label that has one."""
    return {label: item.name for item in imagehear_classes().values() for label in item.vggsound}


def images_to_sound(name: str, *, num_sounds: int = SOUNDS_PER_CLASS) -> tuple[str, ...]:
    """The picture of each sound of a class: pictures repeated in order, cut, then sorted.

    Raises InputError for an unknown class.
    """
    images = _find(name).images
    repeats = -(-num_sounds // len(images))
    return tuple(sorted((images * repeats)[:num_sounds]))


def imagehear_accuracy(probabilities: Float[Tensor, "n k"], names: Sequence[str]) -> float:
    """Percent of sounds whose likeliest AudioSet class is accepted for their ImageHear class.

    `probabilities` are PaSST's softmax over 527 classes, not its logits, since general classes are
    set to zero first. Raises InputError for negative values, no sound, another number of classes
    or of names, and unknown names.
    """
    num_sounds, num_classes = probabilities.shape
    if num_classes != NUM_AUDIOSET_CLASSES:
        raise InputError(f"expected {NUM_AUDIOSET_CLASSES} AudioSet classes, got {num_classes}")
    if num_sounds != len(names) or not names:
        raise InputError(f"expected a class name for every sound, got {len(names)}/{num_sounds}")
    if bool((probabilities < 0).any()):
        raise InputError("expected probabilities, got negative values: apply softmax first")
    zeroed = torch.tensor(sorted(zeroed_classes().values()), device=probabilities.device)
    answers = probabilities.index_fill(1, zeroed, 0.0).argmax(dim=1)
    hits = sum(
        int(answer) in _find(name).audioset_indices
        for answer, name in zip(answers.cpu(), names, strict=True)
    )
    return 100 * hits / num_sounds


def _find(name: str) -> ImageHearClass:
    classes = imagehear_classes()
    if name not in classes:
        raise InputError(f"no ImageHear class '{name}': expected one of {', '.join(classes)}")
    return classes[name]


@cache
def _table() -> dict[str, Any]:
    content = TABLE_FILE.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != TABLE_SHA256:
        raise InputError(
            f"{TABLE_FILE.name} was changed: expected sha256 {TABLE_SHA256}, found {found}; "
            "install the package again"
        )
    return json.loads(content)
