"""Linear layers packed for inference in fp32, bf16 or weight-only int8.

The result for a row never depends on how many rows come with it: a sample is the same alone and
in a batch. Matrix kernels choose their summation order by the number of rows, so each precision
feeds them row counts for which that order is fixed (checked by a test on the machine at hand).

Axes: r rows, i inputs, o outputs.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Precision = Literal["fp32", "bf16", "int8"]

# kernels for one row split the inputs among threads, kernels for more rows do not
_LEAST_ROWS = 2
# bf16 matrix tiles hold 16 rows; the kernel changes with the number of tiles
_TILE_ROWS = 16


class PackedLinear:
    """Inference copy of one `nn.Linear`, or of several that read the same input.

    fp32 keeps the numbers. bf16 rounds weights and inputs. int8 rounds weights to 8 bits with one
    scale per output (symmetric) and inputs to bf16. Output and bias stay float32 in all of them.
    """

    def __init__(self, *layers: nn.Linear, precision: Precision = "fp32") -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.precision: Precision = precision
        self.num_outputs, self.num_inputs = weight.shape
        self._bias = _joined_bias(layers)
        self._scale: Tensor | None = None
        self._packed = False
        match precision:
            case "fp32":
                self._weight = weight.float()
            case "bf16":
                self._weight = weight.bfloat16()
            case "int8":
                self._weight, self._scale = quantise_rows(weight.float())
        if precision != "int8" and _can_pack(self._weight):
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, _TILE_ROWS)
            self._packed = True
        if precision == "bf16" and self._bias is not None:
            self._bias_float = self._bias
            self._bias = None
        else:
            self._bias_float = None

    def __call__(self, x: Float[Tensor, "r i"]) -> Float[Tensor, "r o"]:
        """Float32 rows in, float32 rows out."""
        num_rows = x.shape[0]
        match self.precision:
            case "fp32" if self._packed or num_rows >= _TILE_ROWS:
                return self._product(_padded(x, _LEAST_ROWS))[:num_rows]
            case "fp32":
                return self._product(_padded(x, _TILE_ROWS))[:num_rows]
            case "bf16":
                return self._tiles(x.bfloat16())
            case "int8":
                return self._int8(x.bfloat16())

    def prefix(self, x: Float[Tensor, "r i"]) -> Float[Tensor, "r o"]:
        """The same map for the many rows of one clip, by the kernel that is fastest for them.

        For rows that are always passed together; their rounding may differ from a lone row's.
        """
        match self.precision:
            case "fp32":
                return self(x)
            case "bf16":
                out = self._product(x.bfloat16()).float()
                return out if self._bias_float is None else out + self._bias_float
            case "int8":
                assert self._scale is not None
                weight = self._weight.bfloat16() * self._scale[:, None]
                out = functional.linear(x.bfloat16(), weight).float()
                return out if self._bias is None else out + self._bias

    def _tiles(self, x: Tensor) -> Tensor:
        num_rows = x.shape[0]
        tiles = [
            self._product(_padded(x[first : first + _TILE_ROWS], _TILE_ROWS))
            for first in range(0, num_rows, _TILE_ROWS)
        ]
        out = (tiles[0] if len(tiles) == 1 else torch.cat(tiles))[:num_rows].float()
        return out if self._bias_float is None else out + self._bias_float

    def _product(self, x: Tensor) -> Tensor:
        if self._packed:
            return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return functional.linear(x, self._weight, self._bias)

    def _int8(self, x: Tensor) -> Tensor:
        assert self._scale is not None
        if x.device.type == "cpu":
            out = torch.ops.aten._weight_int8pack_mm(x, self._weight, self._scale).float()
        else:
            out = (x @ self._weight.to(x.dtype).T * self._scale).float()
        return out if self._bias is None else out + self._bias


def quantise_rows(
    weight: Float[Tensor, "o i"],
) -> tuple[Tensor, Tensor]:
    """Symmetric 8-bit rows (int8, o x i) and their scales (bfloat16, o).

    The scale is rounded to bf16 before the weights are divided by it, so that its rounding does
    not add to theirs.
    """
    scale = (weight.abs().amax(dim=1) / 127).clamp(min=1e-12).bfloat16()
    quantised = (weight / scale.float()[:, None]).round().clamp(-127, 127)
    return quantised.to(torch.int8).contiguous(), scale


def _joined_bias(layers: tuple[nn.Linear, ...]) -> Tensor | None:
    if layers[0].bias is None:  # pyright: ignore[reportUnnecessaryComparison]
        return None
    return torch.cat([layer.bias.detach() for layer in layers]).float()


def _can_pack(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and torch.backends.mkldnn.is_available()


def _padded(x: Tensor, num_rows: int) -> Tensor:
    return functional.pad(x, (0, 0, 0, num_rows - x.shape[0])) if x.shape[0] < num_rows else x
