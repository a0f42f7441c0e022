"""Weights and inputs from (seed, name, shape)."""

import zlib

import numpy as np
import pytest
import torch

from earsight.errors import InputError
from earsight.parity import fill

KEYS = {"a.weight": [4], "a.bias": [4], "b.weight": [3, 50], "c.running_var": [4]}


def test_draws_follow_seed_and_name() -> None:
    expected = np.random.Generator(np.random.PCG64(zlib.crc32(b"7/x"))).standard_normal(
        5, np.float32
    )
    assert (fill.normal(7, "x", [5]) == expected).all()
    assert (fill.normal(8, "x", [5]) != expected).all()
    codes = fill.tokens(7, "x", [1000], high=3)
    assert codes.dtype == np.int64
    assert set(codes.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("n.weight", [8], lambda n: 1 + 0.1 * n),
        ("n.weight_g", [8, 1, 1], lambda n: 1 + 0.1 * n),
        ("n.scalar", [], lambda n: 1 + 0.1 * n),
        ("n.running_var", [8], lambda n: 1 + 0.1 * np.abs(n)),
        ("n.running_mean", [8], lambda n: 0.1 * n),
        ("n.bias", [8], lambda n: 0.1 * n),
        ("pos_emb", [1, 4, 4], lambda n: n / 4),
        ("n.weight", [2, 3, 3, 4], lambda n: n / 6),
    ],
)
def test_scale_follows_name_and_shape(name: str, shape: list[int], expected: object) -> None:
    noise = fill.normal(3, name, shape)
    assert callable(expected)
    np.testing.assert_allclose(fill.weight(3, name, shape), expected(noise), rtol=1e-6)


def test_one_scale_reaches_tensors_of_two_axes_or_more_only() -> None:
    plain = fill.entries({"seed": 1}, KEYS)
    scaled = fill.entries({"seed": 1, "weight_scale": 1.5}, KEYS)
    assert torch.equal(scaled["a.weight"], plain["a.weight"])
    torch.testing.assert_close(scaled["b.weight"], 1.5 * plain["b.weight"])


def test_scales_and_affine_maps_by_entry_or_pattern() -> None:
    plain = fill.entries({"seed": 1}, KEYS)
    spec = {
        "seed": 1,
        "weight_scale": {"b.weight": 16, "note": "only this entry"},
        "affine": {"a.*": [4.0, 2.0]},
    }
    state = fill.entries(spec, KEYS)
    torch.testing.assert_close(state["b.weight"], 16 * plain["b.weight"])
    torch.testing.assert_close(state["a.bias"], 4 * plain["a.bias"] + 2)
    assert torch.equal(state["c.running_var"], plain["c.running_var"])


def test_tied_entries_are_one_tensor() -> None:
    spec = {"seed": 1, "tied": {"out": "b.weight (same array)"}, "weight_scale": {"b.weight": 2}}
    state = fill.entries(spec, {**KEYS, "out": [3, 50]})
    assert torch.equal(state["out"], state["b.weight"])


def test_kept_entries_come_from_the_caller() -> None:
    spec = {"seed": 1, "keep": ["mask"]}
    keys = {"mask": [2, 2], "bn.num_batches_tracked": []}
    with pytest.raises(InputError, match="mask as its constructor makes it"):
        fill.entries(spec, keys)
    state = fill.entries(spec, keys, keep=lambda n, s: torch.ones(s) if n == "mask" else None)
    assert torch.equal(state["mask"], torch.ones(2, 2))
    assert state["bn.num_batches_tracked"].dtype == torch.int64
