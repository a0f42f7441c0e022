"""Cosine attention of windows: its formula, and the gradients it computes by hand."""

import torch
from torch import Tensor
from torch.nn import functional

from earsight.models.audiomae.cosine_attention import cosine_attention


def given() -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    parts = torch.randn(3, 12, 6, 4, generator=rng, dtype=torch.float64)
    sharpness = 1 + torch.rand(4, generator=rng, dtype=torch.float64)
    bias = torch.randn(4, 6, 6, generator=rng, dtype=torch.float64)
    return parts.requires_grad_(), sharpness.requires_grad_(), bias.requires_grad_()


def test_values_are_mixed_by_sharpened_cosines_and_bias() -> None:
    parts, sharpness, bias = given()
    query, key, value = parts
    cosines = functional.normalize(query, dim=-1) @ functional.normalize(key, dim=-1).mT
    scores = cosines * sharpness.repeat(3)[:, None, None] + bias.repeat(3, 1, 1)
    found = cosine_attention(parts, sharpness, bias)
    torch.testing.assert_close(found, scores.softmax(dim=-1) @ value, atol=1e-12, rtol=0)


def test_gradients_are_those_of_the_formula() -> None:
    assert torch.autograd.gradcheck(cosine_attention, given())


def test_bfloat16_stays_close_and_keeps_its_kind() -> None:
    parts, sharpness, bias = given()
    found = cosine_attention(parts.bfloat16(), sharpness.float(), bias.float())
    assert found.dtype == torch.bfloat16
    exact = cosine_attention(parts, sharpness, bias)
    torch.testing.assert_close(found.double(), exact, atol=0.03, rtol=0)
