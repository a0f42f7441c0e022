"""Transformer blocks of picture and spectrogram networks: norm first, exact GELU, no mask.

Axes: b sequences, n tokens, d width.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import ConfigError


def attend(
    query: Float[Tensor, "b n d"],
    key: Float[Tensor, "b m d"],
    value: Float[Tensor, "b m d"],
    *,
    num_heads: int,
) -> Float[Tensor, "b n d"]:
    """Scaled dot-product attention of every query over all keys, heads side by side in `d`."""
    queries, keys, values = (
        rearrange(x, "b n (h e) -> b h n e", h=num_heads) for x in (query, key, value)
    )
    mixed = functional.scaled_dot_product_attention(queries, keys, values)
    return rearrange(mixed, "b h n e -> b n (h e)")


class JointAttention(nn.Module):
    """Self-attention whose query, key and value are one matrix, stacked in this order."""

    def __init__(self, *, width: int, num_heads: int) -> None:
        super().__init__()
        check_heads(width, num_heads)
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Attend to all tokens."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        return self.project(attend(query, key, value, num_heads=self.num_heads))


class SplitAttention(nn.Module):
    """Self-attention with a matrix each for query, key and value."""

    def __init__(self, *, width: int, num_heads: int) -> None:
        super().__init__()
        check_heads(width, num_heads)
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Attend to all tokens."""
        parts = self.query(x), self.key(x), self.value(x)
        return self.project(attend(*parts, num_heads=self.num_heads))


class Feedforward(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.grow = nn.Linear(width, hidden)
        self.shrink = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        """Every token by itself."""
        return self.shrink(functional.gelu(self.grow(x)))


class PreNormBlock(nn.Module):
    """Attention, then feedforward, each on the normalised tokens and added to them."""

    def __init__(
        self, attention: JointAttention | SplitAttention, *, width: int, hidden: int, epsilon: float
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=epsilon)
        self.attention = attention
        self.norm_feedforward = nn.LayerNorm(width, eps=epsilon)
        self.feedforward = Feedforward(width=width, hidden=hidden)

    def forward(
        self, x: Float[Tensor, "b n d"], scales: Float[Tensor, "2 b"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Tokens of the next block; `scales` multiply the two branches of each sequence."""
        if scales is None:
            x = x + self.attention(self.norm_attention(x))
            return x + self.feedforward(self.norm_feedforward(x))
        factors = scales.to(x.dtype)[:, :, None, None]
        x = x + factors[0] * self.attention(self.norm_attention(x))
        return x + factors[1] * self.feedforward(self.norm_feedforward(x))


class ClassTokenPooling(nn.Module):
    """One vector per sequence: a learned token in front, one block, the token's value.

    Source: Synchformer, sec. 3.1, where it sums up the patches of one instant.
    """

    def __init__(self, *, width: int, num_heads: int, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        attention = JointAttention(width=width, num_heads=num_heads)
        self.block = PreNormBlock(attention, width=width, hidden=hidden, epsilon=epsilon)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """The class token after the block."""
        token = self.class_token.expand(x.shape[0], -1, -1)
        return self.block(torch.cat([token, x], dim=1))[:, 0]


def check_heads(width: int, num_heads: int) -> None:
    """Raise ConfigError for a width that does not split into heads."""
    if num_heads < 1 or width < 1 or width % num_heads:
        raise ConfigError(f"width ({width}) must be a multiple of num_heads ({num_heads})")
