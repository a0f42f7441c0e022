"""Audio-MAE at the time resolution of a phase of coarse-to-fine training.

The published method is for networks with learned positions; here the fixed codes of a coarse token
are those of the fine ones it stands for, interpolated.
"""

from dataclasses import replace

from torch import nn

from earsight.errors import ConfigError
from earsight.models.audiomae.config import EncoderConfig
from earsight.models.audiomae.patches import table_of
from earsight.nn.position_tables import resized_table
from earsight.training.coarse_to_fine import Compression
from earsight.training.warm_start import warm_start

POSITIONS = ("encoder.positions", "decoder.positions")


def encoder_at(full: EncoderConfig, phase: Compression) -> EncoderConfig:
    """Sizes of the encoder of a phase where `full` are those at full resolution.

    Raises ConfigError for longer patches: a decoder rebuilds square ones.
    """
    if phase.patch_factor > 1:
        raise ConfigError(
            "curriculum: Audio-MAE's patches are square, so that none can be longer: choose the "
            "method frame_shift, average_pool or max_pool"
        )
    num_frames = phase.network_frames(full.num_frames)
    return replace(full, num_frames=num_frames, tokens_per_row=full.row_of_positions)


def carry_weights(
    network: nn.Module, following: nn.Module, *, full: EncoderConfig, phase: Compression
) -> None:
    """Give the network of a phase all weights of another resolution's, in place.

    Its position codes are those of `full`, interpolated to its own grid without smoothing: the
    published codes jump after every eighth column, and factors of 2, 4 and 8 then never mix both
    sides of a jump.
    """
    entries = {name: value.detach() for name, value in network.state_dict().items()}
    size = encoder_at(full, phase).grid
    for name in POSITIONS:
        if name in entries:
            table = table_of(
                full.grid, tokens_per_row=full.row_of_positions, width=entries[name].shape[2]
            )
            entries[name] = resized_table(table, grid=full.grid, size=size, num_class_tokens=1)
    warm_start(following, entries)
