"""Attention in windows against one window at a time; stochastic depth."""

import math

import pytest
import torch

from earsight.errors import ConfigError
from earsight.nn.drop_path import branch_scales, linear_rates
from earsight.nn.windows import WindowAttention, from_windows, pair_index, shift_mask, to_windows

CPU = torch.device("cpu")


def tokens(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def slow(attention: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """One map, each token with those of its window that were its neighbours before the move."""
    (rows, columns, width), (high, wide) = x.shape, attention.window
    down, right = attention.shift
    query, key, value = attention.qkv(x).split(width, dim=2)
    size = width // attention.num_heads
    out = torch.zeros_like(x)
    # a place's window, and whether the move carried it over an edge
    place = {
        (r, c): (
            ((r - down) % rows // high, (c - right) % columns // wide),
            (r < down, c < right),
        )
        for r in range(rows)
        for c in range(columns)
    }
    for h in range(attention.num_heads):
        part = slice(h * size, (h + 1) * size)
        for (r, c), own in place.items():
            near = [other for other in place if place[other] == own]
            distance = [
                (
                    (r - down) % rows - (y - down) % rows,
                    (c - right) % columns - (z - right) % columns,
                )
                for y, z in near
            ]
            bias = torch.stack(
                [
                    attention.bias_table[(a + high - 1) * (2 * wide - 1) + b + wide - 1, h]
                    for a, b in distance
                ]
            )
            keys = torch.stack([key[y, z, part] for y, z in near])
            values = torch.stack([value[y, z, part] for y, z in near])
            weights = (keys @ query[r, c, part] / math.sqrt(size) + bias).softmax(0)
            out[r, c, part] = weights @ values
    return attention.project(out)


@pytest.mark.parametrize(
    ("window", "shift"), [((2, 2), (0, 0)), ((4, 2), (2, 1)), ((4, 4), (2, 0))]
)
def test_all_windows_at_once_are_each_window_alone(
    window: tuple[int, int], shift: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    attention = WindowAttention(width=6, num_heads=3, window=window, shift=shift)
    torch.nn.init.normal_(attention.bias_table)
    x = tokens(2, 8, 4, 6)
    expected = torch.stack([slow(attention, one) for one in x])
    torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=0)


def test_windows_are_cut_row_by_row_and_put_back() -> None:
    x = torch.arange(24.0).reshape(1, 4, 6, 1)
    cut = to_windows(x, window=(2, 3), shift=(1, 0))
    assert cut[0, 1, :, 0].tolist() == [9, 10, 11, 15, 16, 17]
    back = from_windows(cut, grid=(4, 6), window=(2, 3), shift=(1, 0))
    torch.testing.assert_close(back, x, atol=0, rtol=0)


def test_constants_made_in_a_prediction_serve_training_later() -> None:
    with torch.inference_mode():
        pair_index((3, 2), CPU)
        mask = shift_mask(grid=(6, 4), window=(3, 2), shift=(1, 0), device=CPU)
    # of four windows the two at the lower edge hold rows that the move joined
    assert [bool(window.any()) for window in mask] == [False, False, True, True]
    attention = WindowAttention(width=4, num_heads=2, window=(3, 2), shift=(1, 0))
    attention(tokens(1, 6, 4, 4)).sum().backward()
    assert attention.bias_table.grad is not None


def test_a_shift_of_a_whole_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 <= shift < window"):
        WindowAttention(width=4, num_heads=2, window=(2, 2), shift=(2, 0))


def test_branches_are_left_out_at_their_rate_and_scaled_up() -> None:
    assert linear_rates(0.3, 4) == pytest.approx((0, 0.1, 0.2, 0.3), abs=1e-12)
    drawn = branch_scales((0.0, 0.5), 4000, rng=torch.Generator().manual_seed(3))
    assert (drawn[0] == 1).all()
    assert set(drawn[1].tolist()) == {0.0, 2.0}
    assert float(drawn[1].mean()) == pytest.approx(1, abs=0.06)
    with pytest.raises(ConfigError, match="got 1"):
        linear_rates(1.0, 2)
