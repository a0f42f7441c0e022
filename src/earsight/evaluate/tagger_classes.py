"""Which of a network's classes stand for the classes of a corpus.

Axes: n clips, m classes of the network, k classes of the corpus.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float

from earsight.checkpoints.narrow import is_dict
from earsight.errors import InputError
from earsight.evaluate.esc_in_audioset import ESC_IN_AUDIOSET

_LISTED = 10
AUDIOSET = "audioset"
Told = Mapping[str, Sequence[str | int]]
"""For classes of a corpus the network's classes, by name or number, that each is heard as."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassMatch:
    """The network's classes for each class of the corpus, and how they were found."""

    columns: tuple[tuple[int, ...], ...]
    rule: str

    def of_corpus(self, probabilities: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n k"]:
        """Probabilities of the corpus's classes: of several that stand for one, the highest."""
        found = [probabilities[:, list(column)].max(axis=1) for column in self.columns]
        return np.stack(found, axis=1)


def match_classes(
    own: Sequence[str], num_own: int, wanted: Sequence[str], told: Told | None = None
) -> ClassMatch:
    """Match a corpus's classes (`wanted`) to a network's, by `told` or by name.

    Letters' case, "_" and "-" do not matter. A network without class names is matched by number
    where there are as many classes. Raises InputError that names the classes without a match.
    """
    if len(wanted) < 2:
        raise InputError(f"a tagger is judged by 2 classes at least, the corpus has {len(wanted)}")
    if told is None and not own:
        if num_own != len(wanted):
            raise InputError(
                f"the model's folder tells no class names and has {num_own} classes, the corpus "
                f"{len(wanted)}: give --classes FILE with the number of each class"
            )
        return ClassMatch(columns=tuple((i,) for i in range(num_own)), rule="by number")
    numbers = {_plain(name): index for index, name in enumerate(own)}
    given = {name: [name] for name in wanted} if told is None else told
    asked: Told = {_plain(name): items for name, items in given.items()}
    columns: list[tuple[int, ...]] = []
    missing: list[str] = []
    for name in wanted:
        items = asked.get(_plain(name), ())
        found = [_number(item, numbers, num_own) for item in items]
        columns.append(tuple(number for number in found if number is not None))
        if not columns[-1] or None in found:
            missing.append(_wish(name, items, own))
    if missing:
        more = f", and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        raise InputError(
            f"the model has no class for {len(missing)} of the corpus's {len(wanted)}: "
            f"{', '.join(missing[:_LISTED])}{more}. Give --classes FILE, which names the model's "
            'class for each of the corpus\'s: {"dog bark": ["Dog", "Bark"], ...}'
        )
    return ClassMatch(columns=tuple(columns), rule="by name" if told is None else "as told")


def told_classes(source: str) -> Told:
    """The package's own table for ESC-50 and ESC-10 ("audioset"), or that of a file."""
    return ESC_IN_AUDIOSET if source == AUDIOSET else read_classes(Path(source))


def read_classes(path: Path) -> Told:
    """A JSON object: for each class of the corpus the model's name, number, or a list of them.

    Raises InputError for anything else.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    told: dict[str, list[str | int]] = {}
    for name, value in (plain if is_dict(plain) else {}).items():
        items = cast(list[object], value) if isinstance(value, list) else [value]
        told[str(name)] = [i for i in items if isinstance(i, str | int) and not isinstance(i, bool)]
        if not items or len(told[str(name)]) != len(items):
            raise InputError(
                f"{path}: for {name!r} expected the model's class, its number, or a list of them, "
                f"found {value!r}"
            )
    if not told:
        raise InputError(f'{path}: expected an object such as {{"dog bark": "Dog"}}')
    return told


def _number(item: str | int, numbers: Mapping[str, int], num_own: int) -> int | None:
    if isinstance(item, int):
        return item if 0 <= item < num_own else None
    return numbers.get(_plain(item))


def _wish(name: str, asked: Sequence[str | int], own: Sequence[str]) -> str:
    """The class that is missing, what was told of it, and what may have been meant."""
    told = "" if list(asked) == [name] else f" (told: {', '.join(map(str, asked)) or 'nothing'})"
    near = difflib.get_close_matches(_plain(name), [_plain(o) for o in own], n=1)
    return repr(name) + told + (f" (nearest: {near[0]})" if near else "")


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
