"""Class names of VGGSound.

Source: Chen, Xie, Vedaldi, Zisserman, "VGGSound: a large-scale audio-visual dataset", 2020;
annotations under CC BY 4.0.
"""

import hashlib
from functools import cache
from pathlib import Path

from earsight.errors import InputError

CLASSES_FILE = Path(__file__).with_name("vggsound_classes.txt")
CLASSES_SHA256 = "45c537f971c8ea8e175c8cebd4bdd2b4c4f579dd4e3c4309e4be6e482168b871"


@cache
def class_names() -> tuple[str, ...]:
    """The 309 classes; a name's place is its id in every published model.

    Sorted as plain ASCII, names may contain commas. Raises InputError where the stored list was
    changed.
    """
    content = CLASSES_FILE.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != CLASSES_SHA256:
        raise InputError(
            f"{CLASSES_FILE.name} was changed: expected sha256 {CLASSES_SHA256}, found {found}; "
            "install the package again"
        )
    return tuple(content.decode("ascii").splitlines())
