"""Spectrograms with several frames made one.   Axes: b clips, t frames, m mel bands."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError

Pool = Literal["average", "max"]


def pool_time(x: Float[Tensor, "b t m"], factor: int, *, kind: Pool) -> Float[Tensor, "b u m"]:
    """Mean or highest value of every `factor` frames in each band; frames left over are dropped.

    Raises InputError for a factor that leaves no frame.
    """
    if not 1 <= factor <= x.shape[1]:
        raise InputError(f"expected 1 to {x.shape[1]} frames to become one, got {factor}")
    if factor == 1:
        return x
    pool = functional.avg_pool1d if kind == "average" else functional.max_pool1d
    return pool(x.mT, factor).mT
