"""HTS-AT weights between picture sizes, as phases of coarse-to-fine training need, and their cost.

Axes: n distances, h heads.
"""

import math
from collections.abc import Mapping

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import WeightsError
from earsight.models.htsat.config import HtsatConfig

BIAS_TABLE = ".attention.bias_table"


def resize_bias(table: Float[Tensor, "n h"], *, window: int) -> Float[Tensor, "n2 h"]:
    """Biases of square windows for windows of side `window`, bilinear over the distances."""
    old, new = math.isqrt(len(table)), 2 * window - 1
    if old * old != len(table):
        raise WeightsError(f"a bias table of {len(table)} distances belongs to no square window")
    if old == new:
        return table
    grid = rearrange(table, "(r c) h -> 1 h r c", r=old)
    resized = functional.interpolate(grid, (new, new), mode="bilinear", align_corners=False)
    return rearrange(resized, "1 h r c -> (r c) h")


def for_picture(entries: Mapping[str, Tensor], config: HtsatConfig) -> dict[str, Tensor]:
    """Entries of an HTS-AT (our names) as the network of `config` takes them.

    Only windows that the map cuts down change: 256 to 128 makes the last stage's 8 x 8 windows
    4 x 4, so 225 distances become 49. There are no absolute positions. Source: the coarse-to-fine
    paper's HTS-AT experiments; the resizing rule is ours, since the paper states none.
    """
    changed: dict[str, Tensor] = {}
    for name, value in entries.items():
        if name.endswith(BIAS_TABLE):
            stage = int(name.removeprefix("stages.").partition(".")[0])
            value = resize_bias(value, window=config.stage_window(stage))
        changed[name] = value
    return changed


def network_macs(config: HtsatConfig) -> int:
    """Multiplications of one picture without the front end: matrix products and attention alone.

    The published sizes take 5.985e9, pictures of a quarter of the size 0.2496 of it.
    """
    rows, columns = config.grid(0)
    total = rows * columns * config.width * config.patch**2
    for stage, depth in enumerate(config.depths):
        width, (rows, columns) = config.width * 2**stage, config.grid(stage)
        tokens, in_window = rows * columns, config.stage_window(stage) ** 2
        total += depth * tokens * (12 * width**2 + 2 * in_window * width)
        if stage + 1 < config.num_stages:
            total += tokens // 4 * (4 * width) * (2 * width)
    steps = columns * config.num_chunks
    band_rows = rows // config.num_chunks
    return total + steps * config.num_classes * config.last_width * band_rows * 3
