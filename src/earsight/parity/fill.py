"""Weights and inputs as pure functions of a seed, a name and a shape.

Golden cases store no weights. Any network that keeps the published entry names can rebuild them
here, so that one case proves the key map and the arithmetic at once.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earsight.errors import InputError

Shape = Sequence[int]
Keep = Callable[[str, tuple[int, ...]], "Tensor | None"]


def normal(seed: int, name: str, shape: Shape) -> NDArray[np.float32]:
    """Standard normal float32 array that depends on (seed, name, shape) alone."""
    return _generator(seed, name).standard_normal(tuple(shape), dtype=np.float32)


def tokens(seed: int, name: str, shape: Shape, *, high: int) -> NDArray[np.int64]:
    """Int64 array of token ids in [0, high)."""
    return _generator(seed, name).integers(0, high, tuple(shape), dtype=np.int64)


def weight(seed: int, name: str, shape: Shape) -> NDArray[np.float32]:
    """Values of the published entry `name`, at a scale that follows from its name and shape.

    Scales of norms ('weight' with one axis, 'weight_g', scalars) lie near 1 (1 + 0.1 n), running
    variances at 1 + 0.1 |n|, everything else with one axis at 0.1 n; tensors of two axes or more
    are n / sqrt(product of all axes but the first).
    """
    noise, leaf = normal(seed, name, shape), name.rpartition(".")[2]
    if leaf == "running_var":
        values = 1 + 0.1 * np.abs(noise)
    elif leaf == "weight_g" or len(shape) == 0 or (len(shape) == 1 and leaf == "weight"):
        values = 1 + 0.1 * noise
    elif len(shape) == 1:
        values = 0.1 * noise
    else:
        values = noise / math.sqrt(math.prod(shape[1:]))
    return np.asarray(values, dtype=np.float32)


def entries(
    spec: Mapping[str, Any], keys: Mapping[str, Shape], *, keep: Keep | None = None
) -> dict[str, Tensor]:
    """Published state dict of a case: every name in `keys`, filled as the case's notes say.

    `keep` gives the entries that the constructor makes (masks, position tables, index buffers)
    and None for all others; counters of batch norm are 0. Reads `seed`, `weight_scale` (number or
    {pattern: number}), `affine` ({pattern: [a, b]}) and `tied` ({entry: source}). Raises
    InputError for a kept entry whose value nobody gives.
    """
    seed, kept = int(spec["seed"]), set(map(str, spec.get("keep", ())))
    tied = {alias: str(source).split()[0] for alias, source in spec.get("tied", {}).items()}
    state: dict[str, Tensor] = {}
    for name, shape in keys.items():
        size = tuple(shape)
        constant = keep(name, size) if keep is not None else None
        if constant is None and name.endswith("num_batches_tracked"):
            constant = torch.zeros(size, dtype=torch.int64)
        if constant is None and name in kept:
            raise InputError(
                f"the case keeps the entry {name} as its constructor makes it, and no rule here "
                "knows that value"
            )
        if constant is None:
            source = tied.get(name, name)
            constant = torch.as_tensor(_adjusted(spec, source, weight(seed, source, size)))
        state[name] = constant
    return state


def table(value: Any) -> dict[str, Any]:
    """A JSON object as it is; anything else as an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _adjusted(
    spec: Mapping[str, Any], name: str, values: NDArray[np.float32]
) -> NDArray[np.float32]:
    scale = spec.get("weight_scale", 1)
    if isinstance(scale, dict):
        for pattern, factor in table(scale).items():
            if isinstance(factor, int | float) and fnmatchcase(name, pattern):
                values = values * np.float32(factor)
    elif values.ndim >= 2 and scale != 1:
        values = values * np.float32(scale)
    for pattern, (factor, shift) in spec.get("affine", {}).items():
        if fnmatchcase(name, pattern):
            values = np.float32(factor) * values + np.float32(shift)
    return np.asarray(values, dtype=np.float32)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}/{name}".encode())))
