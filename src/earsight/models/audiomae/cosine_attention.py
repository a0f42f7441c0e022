"""Attention by cosines inside many small windows, with a backward pass of its own.

Windows hold few tokens, so the scores are smaller than the queries: norms divide the scores, and
neither pass copies queries, keys or values. Source: Liu et al., "Swin transformer V2", 2022,
sec. 3.2.

Axes: p windows of all clips and heads, n tokens of a window, e head width, g windows and heads
that have a bias of their own (p is a multiple of it).
"""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

LEAST_NORM = 1e-12


def cosine_attention(
    parts: Float[Tensor, "3 p n e"], sharpness: Float[Tensor, " g"], bias: Float[Tensor, "g n n"]
) -> Float[Tensor, "p n e"]:
    """Values mixed by softmax(sharpness * cosine(query, key) + bias).

    `parts` are queries, keys and values. Scores are computed in float32 at least.
    """
    return cast(Tensor, _CosineAttention.apply(parts, sharpness, bias))


class _CosineAttention(Function):
    """See `cosine_attention`; gradients of gradients are not known."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] # the base takes anything
        ctx: Any,
        parts: Float[Tensor, "3 p n e"],
        sharpness: Float[Tensor, " g"],
        bias: Float[Tensor, "g n n"],
    ) -> Float[Tensor, "p n e"]:
        query, key, value = parts.unbind(0)
        kind = torch.promote_types(parts.dtype, torch.float32)
        norms = cast(Tensor, torch.linalg.vector_norm(parts[:2], dim=-1, dtype=kind))  # (2, p, n)
        inverse = norms.clamp_(min=LEAST_NORM).reciprocal_()
        cosines = torch.bmm(query, key.mT).to(kind)
        cosines = (cosines * inverse[0, :, :, None]).mul_(inverse[1, :, None])
        grouped = cosines.view(-1, *bias.shape)
        scores = torch.addcmul(bias.to(kind), grouped, sharpness.to(kind)[:, None, None])
        weights = scores.softmax(dim=-1).view_as(cosines)
        ctx.save_for_backward(parts, inverse, cosines, weights, sharpness)
        return torch.bmm(weights.to(parts.dtype), value)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        parts, inverse, cosines, weights, sharpness = cast(list[Tensor], ctx.saved_tensors)
        query, key, value = parts.unbind(0)
        outer: Tensor = grad_outputs[0].to(parts.dtype)
        own = torch.empty_like(parts)
        torch.bmm(weights.to(parts.dtype).mT, outer, out=own[2])
        scores = torch.bmm(outer, value.mT).to(weights.dtype).mul_(weights)
        scores = scores.sub_(weights * scores.sum(dim=-1, keepdim=True))  # through the softmax
        turned = scores * cosines
        groups = (-1, len(sharpness), *scores.shape[1:])
        of_bias = scores.view(groups).sum(dim=0)
        of_sharpness = turned.view(groups).sum(dim=(0, 2, 3))
        factor = sharpness.to(weights.dtype)[:, None, None]
        turned = turned.view(groups).mul_(factor).view_as(turned)
        scores = scores.view(groups).mul_(factor).view_as(scores)
        scores = scores.mul_(inverse[0, :, :, None]).mul_(inverse[1, :, None]).to(parts.dtype)
        # a cosine does not change with its vectors' lengths: what points along them is taken out
        along = torch.stack([turned.sum(dim=2), turned.sum(dim=1)]) * inverse.square()
        straight = parts[:2] * along.to(parts.dtype)[..., None]
        torch.baddbmm(straight[0], scores, key, beta=-1, out=own[0])
        torch.baddbmm(straight[1], scores.mT, query, beta=-1, out=own[1])
        return own, of_sharpness.to(sharpness.dtype), of_bias
