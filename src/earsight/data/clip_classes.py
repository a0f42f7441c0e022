"""Which classes clips have.   Axes: n clips, k classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from earsight.data.corpus import ClipRecord
from earsight.errors import InputError


def targets_of(
    records: Sequence[ClipRecord], class_names: Sequence[str]
) -> Bool[np.ndarray, "n k"]:
    """Which classes each clip has: those that `notes["classes"]` names, else its own one.

    Raises InputError for a class that is none of the corpus's.
    """
    numbers = {name: index for index, name in enumerate(class_names)}
    targets = np.zeros((len(records), len(class_names)), dtype=bool)
    for row, record in enumerate(records):
        for name in record.notes.get("classes") or [record.class_name]:
            if name not in numbers:
                raise InputError(f"clip {record.id}: class {name!r} is none of its corpus")
            targets[row, numbers[name]] = True
    return targets
