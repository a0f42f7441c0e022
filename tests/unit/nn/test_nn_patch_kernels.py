"""Patch kernels at other sizes: what each rule promises."""

import pytest
import torch
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.nn.patch_kernels import bilinear_kernel, inverse_kernel, resized_kernel
from earsight.nn.time_pooling import pool_time


def kernel(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_a_grown_kernel_answers_a_grown_patch_as_before() -> None:
    small, patch = kernel(3, 1, 4, 6), kernel(1, 1, 4, 6)
    large = functional.interpolate(patch, size=(8, 9), mode="bilinear")
    before = (small * patch).sum((1, 2, 3))
    after = (inverse_kernel(small, (8, 9)) * large).sum((1, 2, 3))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)
    wrong = (bilinear_kernel(small, (8, 9)) * large).sum((1, 2, 3))
    assert not torch.allclose(wrong, before, atol=0.1)


def test_shrinking_without_anti_aliasing_keeps_the_two_middle_samples_of_four() -> None:
    weight = torch.arange(16.0).reshape(1, 1, 1, 16)
    expected = [1.0 + 2, 5.0 + 6, 9.0 + 10, 13.0 + 14]
    assert inverse_kernel(weight, (1, 4))[0, 0, 0].tolist() == pytest.approx(expected, abs=1e-4)
    averaged = bilinear_kernel(torch.ones(1, 1, 1, 16), (1, 4))
    torch.testing.assert_close(averaged, torch.ones(1, 1, 1, 4), atol=1e-6, rtol=0)


def test_a_rule_has_its_published_anti_aliasing() -> None:
    weight = kernel(2, 1, 4, 16)
    for rule, make, antialias in (
        ("inverse", inverse_kernel, False),
        ("bilinear", bilinear_kernel, True),
    ):
        expected = make(weight, (4, 4), antialias=antialias)
        torch.testing.assert_close(resized_kernel(weight, (4, 4), rule=rule), expected)
        other = resized_kernel(weight, (4, 4), rule=rule, antialias=not antialias)
        assert not torch.allclose(other, expected, atol=1e-2)
    with pytest.raises(ConfigError, match="at least one band"):
        inverse_kernel(weight, (0, 4))


def test_frames_are_pooled_and_an_odd_one_dropped() -> None:
    x = torch.tensor([[[0.0, 9], [2, 1], [4, 5], [0, 3], [7, 7]]])
    assert pool_time(x, 2, kind="average").tolist() == [[[1, 5], [2, 4]]]
    assert pool_time(x, 2, kind="max").tolist() == [[[2, 9], [4, 5]]]
    with pytest.raises(InputError, match="1 to 5 frames"):
        pool_time(x, 6, kind="max")
