"""Position tables on grids of other sizes."""

import pytest
import torch

from earsight.errors import ConfigError, WeightsError
from earsight.nn.position_tables import (
    cut_or_stretched,
    cut_or_stretched_table,
    patch_grid,
    resized,
    resized_table,
    to_grid,
    to_table,
)


def table(rows: int = 4, columns: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 2 + rows * columns, 3, generator=generator)


def test_tables_and_grids_are_one_another() -> None:
    own, positions = to_grid(table(), grid=(4, 6), num_class_tokens=2)
    assert torch.equal(positions[0, :, 1, 2], table()[0, 2 + 6 + 2])
    assert torch.equal(to_table(own, positions), table())
    with pytest.raises(WeightsError, match="26 rows, expected 2 class tokens and a grid of 5 x 5"):
        to_grid(table(), grid=(5, 5), num_class_tokens=2)


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((4, 6), slice(0, 4), slice(0, 6)),
        ((3, 5), slice(1, 4), slice(1, 6)),
        ((2, 1), slice(1, 3), slice(3, 4)),
    ],
)
def test_what_is_too_long_is_cut_in_the_middle(
    size: tuple[int, int], rows: slice, columns: slice
) -> None:
    _, positions = to_grid(table(), grid=(4, 6), num_class_tokens=2)
    assert torch.equal(cut_or_stretched(positions, size), positions[:, :, rows, columns])


def test_what_is_short_is_stretched_between_the_centres() -> None:
    positions = torch.tensor([[[[0.0, 1.0]]]])
    found = cut_or_stretched(positions, (2, 4))
    expected = torch.tensor([0.0, 0.25, 0.75, 1.0]).expand(1, 1, 2, 4)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)
    grown = cut_or_stretched_table(table(), grid=(4, 6), size=(6, 5), num_class_tokens=2)
    assert grown.shape == (1, 2 + 30, 3)
    assert torch.equal(grown[:, :2], table()[:, :2])


def test_antialias_matters_only_where_the_grid_shrinks() -> None:
    _, positions = to_grid(table(), grid=(4, 6), num_class_tokens=2)
    larger = resized(positions, (8, 12), antialias=True)
    torch.testing.assert_close(larger, resized(positions, (8, 12)), atol=1e-6, rtol=0)
    smaller = resized(positions, (2, 2), antialias=True)
    assert float((smaller - resized(positions, (2, 2))).abs().max()) > 0.01
    cubic = resized_table(table(), grid=(4, 6), size=(8, 12), num_class_tokens=2, mode="bicubic")
    assert float((cubic - to_table(table()[:, :2], larger)).abs().max()) > 0.01
    assert torch.equal(cubic[:, :2], table()[:, :2])


def test_patches_are_counted_and_none_is_refused() -> None:
    assert patch_grid(size=(128, 1024), patch=(16, 16), strides=(10, 10)) == (12, 101)
    assert patch_grid(size=(128, 1024), patch=(128, 2), strides=(128, 1)) == (1, 1023)
    with pytest.raises(ConfigError, match="128 bands and 15 frames holds no patch of 16 x 16"):
        patch_grid(size=(128, 15), patch=(16, 16), strides=(10, 10))
