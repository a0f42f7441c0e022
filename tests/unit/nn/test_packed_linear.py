"""A row's result does not depend on the rows beside it, and stays near the plain layer's."""

import pytest
import torch
from torch import nn

from earsight.nn.packed_linear import PackedLinear, Precision, quantise_rows


def make_layer(num_inputs: int, num_outputs: int, *, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs, bias=bias)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.normal_(generator=generator).div_(num_inputs**0.5)
        if bias:
            layer.bias.normal_(generator=generator)
    return layer


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("sizes", [(1024, 3072), (1024, 4096), (4096, 1024), (192, 100)])
def test_rows_are_independent_to_the_last_bit(precision: Precision, sizes: tuple[int, int]) -> None:
    packed = PackedLinear(make_layer(*sizes), precision=precision)
    rows = torch.randn(64, sizes[0], generator=torch.Generator().manual_seed(1))
    together = packed(rows)
    for count in (1, 2, 3, 5, 16, 33):
        assert torch.equal(packed(rows[:count]), together[:count]), count
    assert torch.equal(packed(rows[40:41]), together[40:41])


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("bf16", 0.02), ("int8", 0.03)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_stay_near_the_plain_layer(precision: Precision, bound: float, bias: bool) -> None:
    layers = make_layer(128, 96, bias=bias), make_layer(128, 32, bias=bias)
    rows = torch.randn(20, 128, generator=torch.Generator().manual_seed(1))
    wanted = torch.cat([layer(rows) for layer in layers], dim=1).detach()
    packed = PackedLinear(*layers, precision=precision)
    assert (packed(rows) - wanted).abs().max().item() < bound
    assert (packed.prefix(rows) - wanted).abs().max().item() < bound


def test_int8_rows_use_their_whole_range() -> None:
    quantised, scale = quantise_rows(torch.tensor([[1.0, -2.0], [0.0, 0.0], [1e-3, 5e-4]]))
    assert quantised.tolist()[0] == [64, -127] or quantised.tolist()[0] == [63, -127]
    assert quantised.tolist()[1] == [0, 0]
    restored = quantised.float() * scale.float()[:, None]
    torch.testing.assert_close(restored[2], torch.tensor([1e-3, 5e-4]), atol=5e-6, rtol=0)
