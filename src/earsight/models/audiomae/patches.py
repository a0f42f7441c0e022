"""Spectrograms as patches and back; positions as fixed codes.

Source: Audio-MAE, sec. 3; official repository facebookresearch/AudioMAE.

Axes: b clips, t frames, m mel bands, n tokens, v values of a patch, d width, x tokens over time,
y tokens over bands.
"""

from functools import cache

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earsight.errors import InputError
from earsight.models.audiomae.config import EncoderConfig, Grid

LOWEST_FREQUENCY = 10000.0


def patchify(
    fbank: Float[Tensor, "b t m"],
    config: EncoderConfig,
    *,
    kept: Int[Tensor, "b k"] | None = None,
) -> Float[Tensor, "b n v"]:
    """Patches of spectrograms, all or those of the `kept` tokens in their order.

    Tokens run along time first (token = time * rows + band); values of a patch along time first,
    too. Raises InputError for other bands, and for less than one patch.
    """
    check_size(fbank.shape[1], fbank.shape[2], config)
    blocks = fbank.unfold(1, config.patch, config.stride).unfold(2, config.patch, config.stride)
    if kept is None:
        return rearrange(blocks, "b x y p q -> b (x y) (p q)")
    clips = torch.arange(len(fbank), device=fbank.device)[:, None]
    num_rows = blocks.shape[2]
    return blocks[clips, kept // num_rows, kept % num_rows].flatten(2)


def unpatchify(
    patches: Float[Tensor, "b n v"], config: EncoderConfig, *, num_frames: int
) -> Float[Tensor, "b t m"]:
    """Spectrograms of patches: `patchify` backwards.

    Where patches overlap it takes their mean; frames and bands in no patch are 0. Raises
    InputError for patches of another length than `num_frames` has.
    """
    columns, rows = config.grid_of(num_frames)
    if patches.shape[1] != columns * rows:
        raise InputError(
            f"{patches.shape[1]} patches are not those of {num_frames} frames: expected "
            f"{columns} x {rows}"
        )
    size, stride = config.patch, config.stride
    blocks = rearrange(patches, "b n v -> b v n")
    shape = (size + (columns - 1) * stride, size + (rows - 1) * stride)
    whole = torch.nn.functional.fold(blocks, shape, size, stride=stride)[:, 0]
    if stride < size:
        counts = torch.nn.functional.fold(torch.ones_like(blocks), shape, size, stride=stride)
        whole = whole / counts[:, 0]
    missing = (0, config.num_mels - shape[1], 0, num_frames - shape[0])
    return torch.nn.functional.pad(whole, missing)


def with_visible(
    predicted: Float[Tensor, "b n v"],
    original: Float[Tensor, "b n v"],
    masked: Bool[Tensor, "b n"],
) -> Float[Tensor, "b n v"]:
    """Predicted patches where a token was masked, the original ones elsewhere."""
    return torch.where(masked[..., None], predicted, original)


def check_size(num_frames: int, num_mels: int, config: EncoderConfig) -> None:
    """Raise InputError for a spectrogram of other bands, or of less than one patch."""
    if num_mels != config.num_mels:
        raise InputError(f"expected {config.num_mels} mel bands, got {num_mels}")
    if num_frames < config.patch:
        raise InputError(
            f"spectrogram has {num_frames} frames, one patch needs {config.patch}: pad it or use "
            "a longer clip"
        )


@cache
def position_table(*, num_tokens: int, tokens_per_row: int, width: int) -> Float[Tensor, "1 n1 d"]:
    """Fixed codes of the class token (zeros) and of every token.

    Half of the channels hold sines and cosines of a token's place in its row, the other half those
    of the row. Computed in float64, kept in float32. Source: He et al., "Masked autoencoders are
    scalable vision learners", 2022, appendix; official repository facebookresearch/AudioMAE, whose
    rows are not the spectrogram's, see `EncoderConfig.row_of_positions`.
    """
    with torch.inference_mode(False):
        steps = torch.arange(width // 4, dtype=torch.float64, device="cpu")
        rates = LOWEST_FREQUENCY ** (-steps / (width / 4))
        token = torch.arange(num_tokens, dtype=torch.float64, device="cpu")
        row = torch.div(token, tokens_per_row, rounding_mode="floor")
        angles = [place[:, None] * rates for place in (token - row * tokens_per_row, row)]
        code = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)
        table = torch.cat([torch.zeros(1, width, dtype=torch.float64, device="cpu"), code])
        return table.float()[None]


def positions_for(
    table: Float[Tensor, "1 n1 d"], *, num_tokens: int, tokens_per_row: int
) -> Float[Tensor, "1 n2 d"]:
    """The rows of a stored table for so many tokens, continued where it ends.

    A token's code does not depend on the clip's length, so shorter clips take the first rows.
    """
    if num_tokens < table.shape[1]:
        return table[:, : num_tokens + 1]
    longer = position_table(
        num_tokens=num_tokens, tokens_per_row=tokens_per_row, width=table.shape[2]
    )
    return torch.cat([table, longer[:, table.shape[1] :].to(table)], dim=1)


def table_of(grid: Grid, *, tokens_per_row: int, width: int) -> Float[Tensor, "1 n1 d"]:
    """A table of one's own for a grid, on the device that tensors are made on now."""
    table = position_table(num_tokens=grid[0] * grid[1], tokens_per_row=tokens_per_row, width=width)
    return table.to(torch.get_default_device(), copy=True)
