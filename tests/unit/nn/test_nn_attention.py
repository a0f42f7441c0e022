"""Attention and blocks against their formulas."""

import math

import pytest
import torch
from torch.nn import functional

from earsight.errors import ConfigError
from earsight.nn.attention import ClassTokenPooling, JointAttention, PreNormBlock, SplitAttention


def tokens(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_joint_attention_is_softmax_of_scaled_products_per_head() -> None:
    torch.manual_seed(0)
    attention, x = JointAttention(width=6, num_heads=2), tokens(1, 5, 6)
    query, key, value = (attention.qkv(x)[0, :, i : i + 6] for i in (0, 6, 12))
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        weights = (query[:, h] @ key[:, h].T / math.sqrt(3)).softmax(-1)
        heads.append(weights @ value[:, h])
    expected = attention.project(torch.cat(heads, -1))
    torch.testing.assert_close(attention(x)[0], expected, atol=1e-6, rtol=0)


def test_split_attention_is_joint_attention_cut_in_three() -> None:
    joint, split = JointAttention(width=8, num_heads=4), SplitAttention(width=8, num_heads=4)
    parts = (split.query, split.key, split.value)
    for part, weight, bias in zip(
        parts, joint.qkv.weight.chunk(3), joint.qkv.bias.chunk(3), strict=True
    ):
        part.load_state_dict({"weight": weight, "bias": bias})
    split.project.load_state_dict(joint.project.state_dict())
    x = tokens(2, 7, 8)
    torch.testing.assert_close(split(x), joint(x), atol=1e-6, rtol=0)


def test_block_adds_to_its_input_with_the_exact_gelu() -> None:
    attention = JointAttention(width=4, num_heads=1)
    block, x = PreNormBlock(attention, width=4, hidden=8, epsilon=1e-6), tokens(1, 3, 4)
    middle = x + attention(block.norm_attention(x))
    grown = functional.gelu(block.feedforward.grow(block.norm_feedforward(middle)))
    expected = middle + block.feedforward.shrink(grown)
    torch.testing.assert_close(block(x), expected, atol=1e-6, rtol=0)


def test_pooling_forgets_the_order() -> None:
    pool, x = ClassTokenPooling(width=4, num_heads=2, hidden=8, epsilon=1e-6), tokens(2, 5, 4)
    torch.testing.assert_close(pool(x), pool(x.flip(1)), atol=1e-6, rtol=0)
    assert (pool(x) - pool(x.square())).abs().max() > 1e-4


def test_width_must_split_into_heads() -> None:
    with pytest.raises(ConfigError, match=r"width \(6\) must be a multiple of num_heads \(4\)"):
        JointAttention(width=6, num_heads=4)
