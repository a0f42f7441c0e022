"""Windows of a map of tokens, and attention inside them, all windows at once.

Axes: b maps, r rows, c columns, d width, w windows, n tokens of a window, h heads, e head width.
"""

from functools import cache

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import ConfigError
from earsight.nn.attention import check_heads

Pair = tuple[int, int]
APART = -100.0  # what published window networks add between tokens of different regions
BIAS_STD = 0.02


def to_windows(
    x: Float[Tensor, "b r c d"], *, window: Pair, shift: Pair = (0, 0)
) -> Float[Tensor, "b w n d"]:
    """Windows row by row, tokens of a window row by row, after a cyclic move towards the start."""
    if any(shift):
        x = torch.roll(x, (-shift[0], -shift[1]), dims=(1, 2))
    return rearrange(x, "b (wr nr) (wc nc) d -> b (wr wc) (nr nc) d", nr=window[0], nc=window[1])


def from_windows(
    x: Float[Tensor, "b w n d"], *, grid: Pair, window: Pair, shift: Pair = (0, 0)
) -> Float[Tensor, "b r c d"]:
    """The map that `to_windows` cut, moved back."""
    whole = rearrange(
        x,
        "b (wr wc) (nr nc) d -> b (wr nr) (wc nc) d",
        wr=grid[0] // window[0],
        nr=window[0],
        nc=window[1],
    )
    return torch.roll(whole, shift, dims=(1, 2)) if any(shift) else whole


def pair_index(window: Pair, device: torch.device) -> Int[Tensor, "n n"]:
    """Row of the bias table for each query (first axis) and key (second axis) of a window.

    Rows count the distances from query to key backwards: row-wise first, then column-wise.
    Source: Liu et al., "Swin transformer", 2021, sec. 3.2.
    """
    return _pair_index(window, device)


def shift_mask(
    *, grid: Pair, window: Pair, shift: Pair, device: torch.device
) -> Float[Tensor, "w n n"]:
    """0 between neighbours of the map, -100 between tokens that only the cyclic move joined.

    An axis that is not moved is one region. Source: Liu et al., 2021, sec. 3.2.
    """
    return _shift_mask(grid, window, shift, device)


class WindowAttention(nn.Module):
    """Attention among the tokens of each window, with a learned bias per distance and head.

    `window` and `shift` count tokens over rows and columns; the maps must divide into windows.
    Source: Liu et al., 2021, sec. 3.2.
    """

    def __init__(self, *, width: int, num_heads: int, window: Pair, shift: Pair = (0, 0)) -> None:
        super().__init__()
        check_heads(width, num_heads)
        if min(window) < 1 or any(not 0 <= s < n for s, n in zip(shift, window, strict=True)):
            raise ConfigError(f"expected 0 <= shift < window, got shift {shift}, window {window}")
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        num_distances = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.bias_table = nn.Parameter(torch.zeros(num_distances, num_heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        nn.init.trunc_normal_(self.bias_table, std=BIAS_STD)

    def forward(self, x: Float[Tensor, "b r c d"]) -> Float[Tensor, "b r c d"]:
        """The map after attention in its (moved) windows."""
        grid = x.shape[1], x.shape[2]
        parts = to_windows(self.qkv(x), window=self.window, shift=self.shift)
        # windows and heads share one axis, so that the fused kernels take mask and bias
        query, key, value = rearrange(
            parts, "b w n (s h e) -> s b (w h) n e", s=3, h=self.num_heads
        )
        bias = self._bias(grid, x.device).to(query.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        joined = rearrange(mixed, "b (w h) n e -> b w n (h e)", h=self.num_heads)
        whole = from_windows(joined, grid=grid, window=self.window, shift=self.shift)
        return self.project(whole)

    def _bias(self, grid: Pair, device: torch.device) -> Float[Tensor, "1 wh n n"]:
        pairs = rearrange(self.bias_table[pair_index(self.window, device)], "n m h -> h n m")
        num_windows = grid[0] // self.window[0] * (grid[1] // self.window[1])
        if any(self.shift):
            mask = shift_mask(grid=grid, window=self.window, shift=self.shift, device=device)
            return rearrange(mask[:, None] + pairs, "w h n m -> 1 (w h) n m")
        return repeat(pairs, "h n m -> 1 (w h) n m", w=num_windows)


@cache
def _pair_index(window: Pair, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # kept, so that training may use it after a prediction
        rows = torch.arange(window[0], device=device)
        columns = torch.arange(window[1], device=device)
        place = torch.cartesian_prod(rows, columns).reshape(-1, 2)  # (n, 2)
        distance = place[:, None] - place[None]
        row, column = distance[..., 0] + window[0] - 1, distance[..., 1] + window[1] - 1
        return row * (2 * window[1] - 1) + column


@cache
def _shift_mask(grid: Pair, window: Pair, shift: Pair, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        regions = [
            _regions(size, width, move).to(device)
            for size, width, move in zip(grid, window, shift, strict=True)
        ]
        region = 3 * regions[0][:, None] + regions[1]  # (r, c), a number for each region
        cut = to_windows(region[None, :, :, None].float(), window=window)[0, :, :, 0]
        return torch.where(cut[:, :, None] == cut[:, None], 0.0, APART)


def _regions(size: int, window: int, move: int) -> Int[Tensor, " s"]:
    """Parts of an axis after the move: what stayed whole, the last window's two halves."""
    place = torch.arange(size)
    if not move:
        return torch.zeros_like(place)
    return (place >= size - window).long() + (place >= size - move).long()
