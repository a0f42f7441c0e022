"""Learned positions of a grid of patches, carried over to a grid of another size.

A table holds one row per class token, then one per patch, row after row of the grid (row: bands,
column: time).
Axes: n tokens, k class tokens, d width, r grid rows, c grid columns.
"""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, WeightsError

Grid = tuple[int, int]
Resize = Literal["bilinear", "bicubic"]


def patch_grid(*, size: Grid, patch: Grid, strides: Grid) -> Grid:
    """Rows and columns of patches in an input of `size`; ConfigError where not one fits."""
    if min(*patch, *strides) < 1 or size[0] < patch[0] or size[1] < patch[1]:
        raise ConfigError(
            f"an input of {size[0]} bands and {size[1]} frames holds no patch of "
            f"{patch[0]} x {patch[1]} every {strides[0]} x {strides[1]}"
        )
    return (size[0] - patch[0]) // strides[0] + 1, (size[1] - patch[1]) // strides[1] + 1


def to_grid(
    table: Float[Tensor, "1 n d"], *, grid: Grid, num_class_tokens: int
) -> tuple[Float[Tensor, "1 k d"], Float[Tensor, "1 d r c"]]:
    """The rows of the class tokens, and the others as a map; WeightsError for another grid."""
    rows, columns = grid
    if table.shape[1] != num_class_tokens + rows * columns:
        raise WeightsError(
            f"position table has {table.shape[1]} rows, expected {num_class_tokens} class tokens "
            f"and a grid of {rows} x {columns}: {num_class_tokens + rows * columns}"
        )
    own, patches = table[:, :num_class_tokens], table[:, num_class_tokens:]
    return own, rearrange(patches, "b (r c) d -> b d r c", r=rows)


def to_table(
    own: Float[Tensor, "1 k d"], positions: Float[Tensor, "1 d r c"]
) -> Float[Tensor, "1 n d"]:
    """The table of a map and the rows of class tokens: `to_grid` backwards."""
    return torch.cat([own, rearrange(positions, "b d r c -> b (r c) d")], dim=1)


def resized(
    positions: Float[Tensor, "1 d r c"],
    size: Grid,
    *,
    mode: Resize = "bilinear",
    antialias: bool = False,
) -> Float[Tensor, "1 d y x"]:
    """The map at another size, corners not aligned.

    `antialias` changes nothing where the map grows.
    """
    return functional.interpolate(
        positions, size=size, mode=mode, align_corners=False, antialias=antialias
    )


def cut_columns(positions: Float[Tensor, "1 d r c"], count: int) -> Float[Tensor, "1 d r x"]:
    """The `count` columns in the middle.

    The first is half the columns there are less half the columns wanted, both rounded down.
    """
    start = positions.shape[3] // 2 - count // 2
    return positions[:, :, :, start : start + count]


def cut_or_stretched(positions: Float[Tensor, "1 d r c"], size: Grid) -> Float[Tensor, "1 d y x"]:
    """The map at another size, AST's way: the middle of what is too long, bilinear what is short.

    Columns first, then rows. Source: Gong et al., "AST: audio spectrogram transformer", 2021,
    sec. 2.2; official repository YuanGongND/ast.
    """
    rows, columns = size
    if columns <= positions.shape[3]:
        positions = cut_columns(positions, columns)
    else:
        positions = resized(positions, (positions.shape[2], columns))
    if rows <= positions.shape[2]:
        return cut_columns(positions.mT, rows).mT
    return resized(positions, size)


def cut_or_stretched_table(
    table: Float[Tensor, "1 n d"], *, grid: Grid, size: Grid, num_class_tokens: int
) -> Float[Tensor, "1 m d"]:
    """`cut_or_stretched` of a table; rows of class tokens stay. Raises as `to_grid` does."""
    own, positions = to_grid(table, grid=grid, num_class_tokens=num_class_tokens)
    return to_table(own, cut_or_stretched(positions, size))


def resized_table(
    table: Float[Tensor, "1 n d"],
    *,
    grid: Grid,
    size: Grid,
    num_class_tokens: int,
    mode: Resize = "bilinear",
    antialias: bool = False,
) -> Float[Tensor, "1 m d"]:
    """`resized` of a table; rows of class tokens stay. Raises as `to_grid` does."""
    own, positions = to_grid(table, grid=grid, num_class_tokens=num_class_tokens)
    return to_table(own, resized(positions, size, mode=mode, antialias=antialias))
