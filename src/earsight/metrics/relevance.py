"""Do two embeddings of one clip point the same way?   Axes: n, k clips, d, e values."""

import numpy as np
from jaxtyping import Float

from earsight.errors import InputError
from earsight.metrics.feature_checks import refuse_different_widths, refuse_unusable


def cosine_score(first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "k e"]) -> float:
    """Mean cosine of paired embeddings, -1 to 1, such as ImageBind's of picture and sound.

    Raises InputError for an empty set, another number of rows or columns, or a row of zeros.
    Source: official repository hkchengrex/av-benchmark, IB-score.
    """
    for name, rows in (("first", first), ("second", second)):
        refuse_unusable(rows, name=name)
        if not np.linalg.norm(rows, axis=1).all():
            raise InputError(f"{name}: a row of zeros points nowhere: leave that clip out")
    refuse_different_widths(first, second)
    if len(first) != len(second):
        raise InputError(f"{len(first)} and {len(second)} embeddings: rows must belong together")
    unit = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (first.astype(np.float64), second.astype(np.float64))
    ]
    return float((unit[0] * unit[1]).sum(axis=1).mean())
