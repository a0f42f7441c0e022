"""Picture features per video frame as one row per code column.

A code column is 16 spectrogram frames of 256 samples at 22050 Hz, 0.18576 s, in which about 4
video frames at 21.5 a second fall.
Axes: n video frames, w feature width, c code columns, d = 4 w.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

COLUMN_SECONDS = 16 * 256 / 22050
ROWS_PER_COLUMN = 4


def column_rows(
    rows: Float[Tensor, "n w"], *, num_columns: int, start_seconds: float = 0.0, fps: float = 21.5
) -> Float[Tensor, "c d"]:
    """Rows nearest in time to four moments of every column, value by value.

    Column t holds, for each of the w values in turn, its readings at the frames nearest to
    start_seconds + (4 t + j) / 4 * 0.18576 s, j = 0..3. Times outside the video give 0.
    """
    slots = torch.arange(num_columns * ROWS_PER_COLUMN, dtype=torch.float64)
    times = start_seconds + slots * (COLUMN_SECONDS / ROWS_PER_COLUMN)
    frames = (times * fps + 0.5).floor().long()
    inside = (frames >= 0) & (frames < rows.shape[0])
    kept = rows[frames.clamp(0, rows.shape[0] - 1)] * inside[:, None]
    return rearrange(kept, "(c j) w -> c (w j)", j=ROWS_PER_COLUMN)
