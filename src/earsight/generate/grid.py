"""Order of codes: the grid (frequency x time) against the transformer's sequence.

Codes run column by column: all rows of the first time column from low to high frequency, then
the next column. Axes: b clips, r rows (frequency), c columns (time), n = c * r codes.
Source: official repository v-iashin/SpecVQGAN (column-major permuter).
"""

from einops import rearrange
from jaxtyping import Int
from torch import Tensor

from earsight.errors import InputError


def to_sequence(grid: Int[Tensor, "b r c"]) -> Int[Tensor, "b n"]:
    """Codes in the transformer's order."""
    return rearrange(grid, "b r c -> b (c r)")


def to_grid(codes: Int[Tensor, "b n"], *, rows: int) -> Int[Tensor, "b r c"]:
    """Codes on the grid. Raises InputError when they do not fill whole columns."""
    rest = codes.shape[1] % rows
    if rest:
        raise InputError(
            f"{codes.shape[1]} codes do not fill whole columns of {rows}: "
            f"leave out {rest} or add {rows - rest}"
        )
    return rearrange(codes, "b (c r) -> b r c", r=rows)
