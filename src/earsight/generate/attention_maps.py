"""Pictures of what a code attended to.

Axes: b clips, h heads, l positions (condition, then codes), r rows, t columns of the code grid.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class StepAttention:
    """Attention of one code, summed over heads, and the share of each part (they add up to 1)."""

    condition: Float[Tensor, "b c"]
    codes: Float[Tensor, "b r t"]
    condition_share: Float[Tensor, " b"]
    codes_share: Float[Tensor, " b"]


def full_attention(
    attention: Float[Tensor, "b h l l"], *, subtract_prior: bool = True
) -> Float[Tensor, "b l l"]:
    """All positions, summed over heads; the prior is what even attention to the past would give.

    Source: official repository v-iashin/SpecVQGAN (sampling tool).
    """
    length = attention.shape[-1]
    if subtract_prior:
        rows = torch.arange(1, length + 1, device=attention.device, dtype=attention.dtype)
        attention = attention - (1 / rows)[:, None].expand(length, length).tril()
    return attention.sum(dim=1)


def step_attention(
    attention: Float[Tensor, "b h l l"],
    *,
    num_condition: int,
    position: int,
    rows: int,
    columns: int,
) -> StepAttention:
    """What the scores of code `position` looked at: the query is the token before that code.

    Codes come on their grid, row 0 = lowest frequency; codes not drawn yet have attention 0.
    """
    num_heads = attention.shape[1]
    row = attention[:, :, num_condition + position - 1].sum(dim=1)
    condition, codes = row[:, :num_condition], row[:, num_condition:]
    codes = functional.pad(codes, (0, rows * columns - codes.shape[1]))
    return StepAttention(
        condition,
        rearrange(codes, "b (t r) -> b r t", r=rows),
        condition.sum(dim=1) / num_heads,
        codes.sum(dim=1) / num_heads,
    )
