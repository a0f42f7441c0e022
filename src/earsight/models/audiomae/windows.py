"""Attention in windows as Audio-MAE's decoder has it: cosines, a bias computed from distances.

The norm comes after each branch. Source: Audio-MAE, sec. 3.2; Liu et al., "Swin transformer V2",
2022, sec. 3; official repository facebookresearch/AudioMAE.

Axes: b maps, x tokens over time, y tokens over bands, d width, w windows, n tokens of a window,
h heads, e head width, p pairs of tokens.
"""

from functools import cache

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import InputError
from earsight.models.audiomae.config import Grid
from earsight.models.audiomae.cosine_attention import cosine_attention
from earsight.models.audiomae.encoder import NORM_EPSILON
from earsight.nn.attention import Feedforward
from earsight.nn.windows import shift_mask

LOWEST_TEMPERATURE = 0.01
DISTANCE_DROPOUT = 0.1


class DistanceBias(nn.Module):
    """What is added to the scores of two tokens of a window, by their distance in time and bands.

    Distances enter as sign * log(1 + size). Source: Liu et al., 2022, sec. 3.3.
    """

    def __init__(self, *, num_heads: int, hidden: int, window: Grid) -> None:
        super().__init__()
        self.window = window
        self.grow = nn.Linear(2, hidden)
        self.shrink = nn.Linear(hidden, num_heads)

    def forward(self, rng: torch.Generator | None = None) -> Float[Tensor, "h n n"]:
        """The bias of every head; in training values are left out, drawn from `rng`."""
        distances = log_distances(self.window, self.grow.weight.device)
        x = self._thinned(functional.relu(self.grow(distances)), rng)
        x = self._thinned(self.shrink(x), rng)
        num_tokens = self.window[0] * self.window[1]
        return rearrange(x, "(n m) h -> h n m", n=num_tokens)

    def _thinned(
        self, x: Float[Tensor, "p c"], rng: torch.Generator | None
    ) -> Float[Tensor, "p c"]:
        if not self.training:
            return x
        if rng is None:
            raise InputError("the decoder drops values in training: pass a generator (rng=...)")
        stays = torch.rand(x.shape, generator=rng, device=x.device) >= DISTANCE_DROPOUT
        return x * stays / (1 - DISTANCE_DROPOUT)


class WindowBlock(nn.Module):
    """Attention in windows and feedforward, each normalised before it is added.

    `shift` moves the windows over the map; an axis that one window covers is never moved.
    """

    def __init__(
        self,
        *,
        width: int,
        num_heads: int,
        hidden: int,
        window: Grid,
        shift: Grid,
        distance_hidden: int,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.temperature = nn.Parameter(torch.ones(num_heads))
        self.distances = DistanceBias(num_heads=num_heads, hidden=distance_hidden, window=window)
        self.norm_attention = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.feedforward = Feedforward(width=width, hidden=hidden)
        self.norm_feedforward = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(
        self, x: Float[Tensor, "b x y d"], bias: Float[Tensor, "h n n"]
    ) -> Float[Tensor, "b x y d"]:
        """The next map, whose sides must be whole windows; `bias` is that of `distances`.

        It comes from outside so that a block which is computed again meets the same one.
        """
        x = x + self.norm_attention(self.attend(x, bias))
        return x + self.norm_feedforward(self.feedforward(x))

    def attend(
        self, x: Float[Tensor, "b x y d"], bias: Float[Tensor, "h n n"]
    ) -> Float[Tensor, "b x y d"]:
        """Attention inside the moved windows: cosines over a learned temperature, plus `bias`."""
        grid, window = (x.shape[1], x.shape[2]), self.window
        shift = (
            self.shift[0] if grid[0] > window[0] else 0,
            self.shift[1] if grid[1] > window[1] else 0,
        )
        moved = torch.roll(x, (-shift[0], -shift[1]), dims=(1, 2)) if any(shift) else x
        parts = rearrange(
            self.qkv(moved),
            "b (u i) (v j) (s h e) -> s (b u v h) (i j) e",
            i=window[0],
            j=window[1],
            s=3,
            h=self.num_heads,
        )
        sharpness = 1 / self.temperature.clamp(min=LOWEST_TEMPERATURE)
        if any(shift):
            mask = shift_mask(grid=grid, window=window, shift=shift, device=x.device)
            sharpness = repeat(sharpness, "h -> (w h)", w=len(mask))
            bias = rearrange(mask[:, None] + bias, "w h n m -> (w h) n m")
        mixed = rearrange(
            cosine_attention(parts, sharpness, bias),
            "(b u v h) (i j) e -> b (u i) (v j) (h e)",
            b=len(x),
            u=grid[0] // window[0],
            h=self.num_heads,
            i=window[0],
        )
        projected = self.project(mixed)
        return torch.roll(projected, shift, dims=(1, 2)) if any(shift) else projected


def log_distances(window: Grid, device: torch.device) -> Float[Tensor, "p 2"]:
    """Distance in time and in bands from key to query, for each query and then each key."""
    return _log_distances(window, device)


@cache
def _log_distances(window: Grid, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # kept, so that training may use it after a prediction
        sides = [torch.arange(side, dtype=torch.float32, device=device) for side in window]
        places = torch.cartesian_prod(*sides).reshape(-1, 2)
        distance = rearrange(places[:, None] - places[None], "n m s -> (n m) s")
        return distance.sign() * torch.log1p(distance.abs())
