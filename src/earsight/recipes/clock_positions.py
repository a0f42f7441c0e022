"""Positions that begin as a clock shared by condition and codes, for short trainings.

A position table that starts at zero has to find out by itself which code lies at which time. Here
every position starts with sinusoids of its time, and one head per layer starts out looking at the
feature token of the time that is about to be predicted. Everything stays trainable.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import Block, TokenGPT

AMPLITUDE = 0.5
FASTEST = 0.9 * math.pi  # radians per column: neighbouring columns are told apart
CLASS_SCALE = 0.1
RATIO = 0.72  # of one sinusoid's speed to the next
LOOK_SCORE = 10.0  # of the feature token at the right time, before the softmax
FEATURE_WISH = 8.0  # how much feature tokens are preferred to codes of the same time


def position_times(config: TokenGPTConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Column, row and kind of every position; kind is 1 for feature tokens and 0 for the rest.

    The class token and code n count as the place of the code that they predict: a query then has
    the time of what it looks for.
    """
    if config.num_features != config.grid_columns:
        raise ConfigError(
            f"a shared clock needs one feature token per code column, got {config.num_features} "
            f"for {config.grid_columns} columns"
        )
    wanted = torch.arange(config.num_positions - config.num_features)
    columns = torch.cat([torch.arange(config.num_features), wanted // config.grid_rows])
    rows = torch.cat([torch.zeros(config.num_features), wanted % config.grid_rows])
    kinds = (torch.arange(config.num_positions) < config.num_features).float()
    return columns, rows, kinds


def clock(columns: Float[Tensor, " p"], *, num_waves: int) -> Float[Tensor, "p w"]:
    """Cosines, then sines of the time at geometrically falling speeds."""
    speeds = FASTEST * RATIO ** torch.arange(num_waves)
    angles = columns[:, None] * speeds
    return torch.cat([angles.cos(), angles.sin()], dim=1)


@torch.no_grad()
def start_clock(model: TokenGPT) -> None:
    """Write the start values into a fresh model's positions and its first head of every layer.

    Raises ConfigError for a model without one feature token per column, or too narrow a one.
    """
    config = model.config
    head_width = config.width // config.num_heads
    num_waves = (head_width - 2) // 2
    used = 2 * num_waves + 1
    if used + config.grid_rows > config.width or num_waves < 4:
        raise ConfigError(f"width {config.width} with {config.num_heads} heads is too narrow")
    columns, rows, kinds = position_times(config)
    table = torch.zeros(config.num_positions, config.width)
    table[:, : 2 * num_waves] = AMPLITUDE * clock(columns.float(), num_waves=num_waves)
    table[:, 2 * num_waves] = 2 * AMPLITUDE * (2 * kinds - 1)
    one_hot = torch.nn.functional.one_hot(rows.long(), config.grid_rows)
    table[:, used : used + config.grid_rows] = 2 * AMPLITUDE * one_hot * (1 - kinds)[:, None]
    model.positions.copy_(table[None])
    if model.class_embedding is not None:
        # made for a table of zeros: at full size it would drown the clock
        model.class_embedding.weight *= CLASS_SCALE
    for block in model.blocks:
        assert isinstance(block, Block)
        _look_at_own_time(block, table, num_waves=num_waves, head_width=head_width)


def _look_at_own_time(
    block: Block, table: Float[Tensor, "p d"], *, num_waves: int, head_width: int
) -> None:
    """First head: scores are the clocks' agreement, plus a wish for feature tokens."""
    query, key = block.attention.query, block.attention.key
    seen = block.norm_attention(table)[:, : 2 * num_waves]
    agreement = float(seen.square().sum(dim=1).mean()) / math.sqrt(head_width)
    gain = math.sqrt(LOOK_SCORE / agreement)
    for linear in (query, key):
        linear.weight[:head_width] *= 0.1
        for wave in range(2 * num_waves):
            linear.weight[wave, wave] = gain
    key.weight[2 * num_waves, 2 * num_waves] = gain
    query.bias[2 * num_waves] = FEATURE_WISH
