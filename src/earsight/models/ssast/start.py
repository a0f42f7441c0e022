"""The tagger that starts from a pre-trained SSAST.   Axes: d width, r grid rows, c grid columns.

Source: official repository YuanGongND/ssast.
"""

from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError
from earsight.models.ssast.config import SsastTaggerConfig
from earsight.models.ssast.model import Ssast, SsastTagger
from earsight.nn.position_tables import Grid, cut_columns, resized, to_grid, to_table
from earsight.nn.two_token_transformer import NUM_CLASS_TOKENS
from earsight.training.warm_start import warm_start

PASSING_ROWS = 8
"""Rows that official code passes through when it stretches time, whatever the grid has.

It changes nothing for the published grids of 8 rows and of 1, and blurs any other.
"""


def fine_tuning(network: Ssast, config: SsastTaggerConfig) -> SsastTagger:
    """A tagger with the pre-trained encoder and a classifier as layers begin.

    Strides and length may differ from those of pre-training: kernels are copied, positions cut
    from the middle or stretched. Raises ConfigError where patch, width or layers differ.
    """
    old = network.config
    given = (old.patch, old.width, old.num_layers)
    wanted = (config.patch, config.width, config.num_layers)
    if given != wanted:
        raise ConfigError(
            f"SSAST: pre-trained with patch {given[0]}, width {given[1]}, {given[2]} layers, the "
            f"tagger has patch {wanted[0]}, width {wanted[1]}, {wanted[2]} layers: they must agree"
        )
    tagger, table = SsastTagger(config), "encoder.positions"
    encoder = {f"encoder.{name}": value for name, value in network.encoder.state_dict().items()}
    own, positions = to_grid(encoder[table], grid=old.grid, num_class_tokens=NUM_CLASS_TOKENS)
    moved = to_table(own, fitted(positions, config.grid))
    warm_start(tagger, {**encoder, table: moved}, fresh=("head_norm", "head"))
    return tagger


def fitted(positions: Float[Tensor, "1 d r c"], size: Grid) -> Float[Tensor, "1 d y x"]:
    """Positions for another grid: the middle of what is too long, the rest stretched.

    Differs from official code in one case that breaks there: fewer rows than before are cut from
    the middle.
    """
    rows, columns = size
    old_rows, old_columns = positions.shape[2:]
    if columns < old_columns:
        positions = cut_columns(positions, columns)
    else:
        positions = resized(positions, (PASSING_ROWS, columns))
    if rows < old_rows:
        start = old_rows // 2 - rows // 2
        return positions[:, :, start : start + rows]
    return resized(positions, size)
