"""Patches predicted in shape alone take their loudness from what is visible around them."""

import pytest
import torch

from earsight.generate.patch_levels import USUAL_SPREAD, with_levels_around
from earsight.losses.reconstruction import patch_statistics

GRID = (6, 4)


def patches() -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    spread = torch.rand(1, 24, 1, generator=rng) + 0.5
    level = torch.linspace(-3, 3, 24)[None, :, None]
    return torch.randn(1, 24, 64, generator=rng) * spread + level


def test_a_hidden_patch_is_as_loud_as_its_neighbours_and_not_as_it_was() -> None:
    original, shapes = patches(), torch.randn(1, 24, 64)
    masked = torch.zeros(1, 24, dtype=torch.bool)
    masked[0, [5, 6, 13]] = True
    found = with_levels_around(shapes, original, masked, GRID)
    louder = original.masked_fill(masked[..., None], 50.0)
    torch.testing.assert_close(found, with_levels_around(shapes, louder, masked, GRID))
    # all around at one level: no other guess is possible
    flat = torch.randn(1, 1, 64).expand(1, 24, 64).contiguous()
    own = patch_statistics(flat)
    expected = shapes * own.spread + own.mean
    torch.testing.assert_close(
        with_levels_around(shapes, flat, masked, GRID), expected, atol=1e-5, rtol=0
    )


def test_near_patches_count_most() -> None:
    level = torch.arange(6.0).repeat_interleave(4)[None, :, None]
    original = level + 0.1 * torch.randn(1, 24, 64)
    masked = torch.zeros(1, 24, dtype=torch.bool)
    masked[0, 8:12] = True  # the third column
    found = with_levels_around(torch.zeros(1, 24, 64), original, masked, GRID)
    assert found[0, 8:12].mean() == pytest.approx(2.0, abs=0.3)


def test_where_nothing_is_visible_levels_are_the_usual_ones() -> None:
    shapes = torch.randn(1, 24, 64)
    hidden = torch.ones(1, 24, dtype=torch.bool)
    found = with_levels_around(shapes, patches(), hidden, GRID)
    torch.testing.assert_close(found, shapes * USUAL_SPREAD)
