"""Patch kernels carried over to patches of another size.

A kernel is bands by frames. Every resize acts on each axis by itself, so that its matrix is the
Kronecker product of two small ones and is inverted as such.
Axes: d width, c channels, y x kernel sides, p old places, q new places.
"""

from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError

KernelRule = Literal["bilinear", "inverse"]
Size = tuple[int, int]


def resized_kernel(
    kernel: Float[Tensor, "d c y x"],
    size: Size,
    *,
    rule: KernelRule,
    antialias: bool | None = None,
) -> Float[Tensor, "d c y2 x2"]:
    """The kernel for patches of `size`, by either rule at its published `antialias`."""
    if rule == "bilinear":
        return bilinear_kernel(kernel, size, antialias=True if antialias is None else antialias)
    return inverse_kernel(kernel, size, antialias=False if antialias is None else antialias)


def bilinear_kernel(
    kernel: Float[Tensor, "d c y x"], size: Size, *, antialias: bool = True
) -> Float[Tensor, "d c y2 x2"]:
    """The kernel enlarged or shrunk like a picture (rule BL).

    Source: official repository JiuFengSC/FlexiAST_INTERSPEECH23, with anti-aliasing.
    """
    _check(size)
    return functional.interpolate(
        kernel, size=size, mode="bilinear", align_corners=False, antialias=antialias
    )


def inverse_kernel(
    kernel: Float[Tensor, "d c y x"], size: Size, *, antialias: bool = False
) -> Float[Tensor, "d c y2 x2"]:
    """The kernel whose response to resized patches is nearest to that of the old one (rule PI).

    As published without anti-aliasing; timm's resampler has it. They agree where kernels grow.
    Where they shrink, as from coarse to fine, the published rule keeps two of every four samples
    and values grow. Source: Beyer et al., "FlexiViT: one model for all patch sizes", 2023.
    """
    _check(size)
    rows, columns = (
        inverse_matrix(old, new, antialias=antialias)
        for old, new in zip(kernel.shape[2:], size, strict=True)
    )
    return (rows @ kernel.cpu().double() @ columns.T).to(kernel)


def inverse_matrix(old: int, new: int, *, antialias: bool) -> Float[Tensor, "q p"]:
    """What takes `old` values of one kernel axis to `new` ones: float64.

    The pseudo-inverse of the transposed matrix of the bilinear resize from `old` to `new` samples.
    """
    _check((old, new))
    identity = torch.eye(old, dtype=torch.float64)
    resize = functional.interpolate(
        identity[:, None, None], size=(1, new), mode="bilinear", antialias=antialias
    )[:, 0, 0]  # (p, q), the transposed matrix
    return cast(Tensor, torch.linalg.pinv(resize))


def _check(size: Size) -> None:
    if min(size) < 1:
        raise ConfigError(f"a patch has at least one band and one frame, got {size}")
