"""Synchformer's picture network: attention over time, then over space, then one token an instant.

Axes: b segments, f instants (pairs of frames), s patches of one instant, n tokens, d width,
h heads, t frames, c colours, y, x picture.
"""

from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.models.synchformer.config import SynchformerConfig
from earsight.nn.attention import ClassTokenPooling, Feedforward, check_heads

NORM_EPSILON = 1e-6
GROUPS = {"time": "(b s) h f e", "space": "(b f) h s e"}
CLASS_COPIES = {"time": "b h 1 e -> (b s) h 1 e", "space": "b h 1 e -> (b f) h 1 e"}
COPIED_AXIS = {"time": "s", "space": "f"}


class DividedAttention(nn.Module):
    """Self-attention inside groups of patches: of one place (time) or of one instant (space).

    Every group sees the class token as well, which itself sees all patches. Source: Patrick et
    al., "Keeping your eye on the ball", 2021; Bertasius et al., TimeSformer, 2021.
    """

    def __init__(self, *, width: int, num_heads: int, over: Literal["time", "space"]) -> None:
        super().__init__()
        check_heads(width, num_heads)
        self.num_heads = num_heads
        self.over = over
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n d"], *, num_instants: int) -> Float[Tensor, "b n d"]:
        """Attend; the class token comes first, then the patches instant by instant."""
        query, key, value = rearrange(
            self.qkv(x), "b n (three h e) -> three b h n e", three=3, h=self.num_heads
        )
        of_class = functional.scaled_dot_product_attention(query[:, :, :1], key, value)
        sizes = {"f": num_instants, "s": (x.shape[1] - 1) // num_instants}
        grouped = f"b h (f s) e -> {GROUPS[self.over]}"
        queries, *pairs = (rearrange(p[:, :, 1:], grouped, **sizes) for p in (query, key, value))
        axis = COPIED_AXIS[self.over]
        heads = (
            repeat(part[:, :, :1], CLASS_COPIES[self.over], **{axis: sizes[axis]})
            for part in (key, value)
        )
        keys, values = (torch.cat([own, rest], 2) for own, rest in zip(heads, pairs, strict=True))
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        mixed = rearrange(mixed, f"{GROUPS[self.over]} -> b h (f s) e", **sizes)
        joined = torch.cat([of_class, mixed], dim=2)
        return self.project(rearrange(joined, "b h n e -> b n (h e)"))


class SpaceTimeBlock(nn.Module):
    """Attention over time, attention over space, feedforward, each on normalised tokens."""

    def __init__(self, *, width: int, num_heads: int, hidden: int) -> None:
        super().__init__()
        self.norm_time = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.time = DividedAttention(width=width, num_heads=num_heads, over="time")
        self.norm_space = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.space = DividedAttention(width=width, num_heads=num_heads, over="space")
        self.norm_feedforward = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.feedforward = Feedforward(width=width, hidden=hidden)

    def forward(self, x: Float[Tensor, "b n d"], *, num_instants: int) -> Float[Tensor, "b n d"]:
        """Tokens of the next block."""
        x = x + self.time(self.norm_time(x), num_instants=num_instants)
        x = x + self.space(self.norm_space(x), num_instants=num_instants)
        return x + self.feedforward(self.norm_feedforward(x))


class VideoEncoder(nn.Module):
    """One vector for every second frame of a segment. Source: Synchformer, sec. 3.1."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        width, patch = config.width, config.patch
        self.grid = config.video_grid
        num_instants, rows, columns = self.grid
        kernel = (config.tube_frames, patch, patch)
        self.patches = nn.Conv3d(3, width, kernel, stride=kernel)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + rows * columns, width))
        self.time_positions = nn.Parameter(torch.zeros(1, num_instants, width))
        self.blocks = nn.ModuleList(
            SpaceTimeBlock(width=width, num_heads=config.num_heads, hidden=config.hidden)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.pool = ClassTokenPooling(
            width=width, num_heads=config.num_heads, hidden=config.hidden, epsilon=NORM_EPSILON
        )

    def forward(self, segments: Float[Tensor, "b t c y x"]) -> Float[Tensor, "b f d"]:
        """Features of segments of frames from -1 to 1."""
        num_instants = self.grid[0]
        tubes = self.patches(rearrange(segments, "b t c y x -> b c t y x"))
        patches = rearrange(tubes, "b d f y x -> b f (y x) d")
        places, instants = self.positions[:, None, 1:], self.time_positions[:, :, None]
        patches = rearrange(patches + places + instants, "b f s d -> b (f s) d")
        first = (self.class_token + self.positions[:, :1]).expand(len(segments), -1, -1)
        x = torch.cat([first, patches], dim=1)
        for block in self.blocks:
            x = block(x, num_instants=num_instants)
        x = rearrange(self.norm(x[:, 1:]), "b (f s) d -> (b f) s d", f=num_instants)
        return rearrange(self.pool(x), "(b f) d -> b f d", f=num_instants)
