"""What training in phases costs, counted as the coarse-to-fine paper's tables count it.

The paper prints savings without their formula; this one reproduces its two-phase and three-phase
tables to 0.01 percentage points. One printed time, 28.00 % for Kinetics-Sounds with maximum
pooling from 4 to 1, must be 27.78 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earsight.errors import ConfigError, InputError
from earsight.training.coarse_to_fine import Compression

TIME_RATIOS: Mapping[int, float] = {1: 1.0, 2: 0.5, 4: 0.3}
"""Time of an epoch under compression over that of a full one, as the paper's tables imply."""
AUDIOSET_TIME_RATIOS: Mapping[int, float] = {**TIME_RATIOS, 4: 0.33}


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerSizes:
    """What the cost of a transformer follows from; the defaults are AST's without overlap.

    One operation per attention score and head is counted beside the multiplications.
    """

    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    num_patches: int = 512
    patch_values: int = 256
    num_class_tokens: int = 2


def clip_macs(compression: Compression, sizes: TransformerSizes | None = None) -> int:
    """Multiplications of one clip in the network; long patches together hold as many values.

    Raises ConfigError where the patches do not divide by the factor.
    """
    sizes = sizes or TransformerSizes()
    if sizes.num_patches % compression.factor:
        raise ConfigError(
            f"{sizes.num_patches} patches do not divide by a factor of {compression.factor}"
        )
    num_patches = sizes.num_patches // compression.factor
    num_tokens, width = num_patches + sizes.num_class_tokens, sizes.width
    embedding = sizes.patch_values * compression.patch_factor * width * num_patches
    linear = 12 * width**2 * num_tokens
    attention = (2 * width + sizes.num_heads) * num_tokens**2
    return embedding + sizes.num_layers * (linear + attention)


def cost_ratio(compression: Compression, sizes: TransformerSizes | None = None) -> float:
    """Cost of a clip over that of an uncompressed one."""
    full = Compression(method=compression.method, factor=1)
    return clip_macs(compression, sizes) / clip_macs(full, sizes)


def saved_share(spent: Sequence[tuple[float, float]], *, baseline: float) -> float:
    """Share saved by epochs (or steps) at a ratio each, against `baseline` full ones.

    The paper's baseline is the epoch of its best score, not its length, and the last phase counts
    up to the first epoch that beats it. Raises InputError for a baseline of nothing.
    """
    if baseline <= 0:
        raise InputError(f"expected a baseline of more than 0 epochs, got {baseline}")
    return 1 - sum(epochs * ratio for epochs, ratio in spent) / baseline
