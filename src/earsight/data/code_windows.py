"""Windows of clips as a code transformer is trained on: what is heard and what is seen.

Axes: m mel bands, t frames, n picture frames, r values of a picture frame, f feature tokens, w
feature width.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.batching import crop_rows_or_pad, row_of_frame, rows_of_frames
from earsight.errors import InputError
from earsight.frontends.column_rows import ROWS_PER_COLUMN, column_rows
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ
from earsight.frontends.visual_features import random_rows, resample_rows

COLUMN_FRAMES = 16
MOTION_VALUES = 2
"""Energy and onset come first in a picture row, learned values after them."""

Visual = Literal["motion", "sight", "resnet50", "bn_inception", "noise", "none"]
BY_COLUMN: tuple[Visual, ...] = ("motion", "sight")
"""Kinds of which every code column has a token of its own."""


def cut_window(mel: Float[Tensor, "m t"], start: int, window_frames: int) -> Float[Tensor, "m _"]:
    """The window's frames, as far as the clip goes, in whole code columns.

    Raises InputError for a clip that has none from there on.
    """
    kept = min(mel.shape[1] - start, window_frames) // COLUMN_FRAMES * COLUMN_FRAMES
    if kept < COLUMN_FRAMES:
        raise InputError(
            f"clip has {mel.shape[1]} frames from which a window at {start} is to be cut: at "
            f"least {COLUMN_FRAMES} are needed from there on"
        )
    return mel[:, start : start + kept]


def picture_rows(
    features: Float[Tensor, "n r"],
    visual: Visual,
    *,
    start: int,
    num_columns: int,
    num_features: int,
) -> Float[Tensor, "f w"]:
    """Feature tokens of the window that starts at a spectrogram frame; zeros beyond the clip.

    Motion and sight give one token per column, frame features the published selection.
    Raises InputError for a kind without rows.
    """
    match visual:
        case "motion" | "sight":
            seconds = start * MEL_HOP_SAMPLES / MEL_RATE_HZ
            return column_rows(features, num_columns=num_features, start_seconds=seconds)
        case "resnet50" | "bn_inception":
            num_rows = rows_of_frames(num_columns * COLUMN_FRAMES)
            seen, _ = crop_rows_or_pad(features.float(), num_rows, row_of_frame(start))
            return resample_rows(seen, num_features)
        case "noise" | "none":
            raise InputError(f"'{visual}' reads no features of clips")


def noise_rows(
    num_features: int, width: int, *, generator: torch.Generator
) -> Float[Tensor, "f w"]:
    """Features of the published models without a picture: fresh noise at every visit."""
    return random_rows(num_features, generator=generator, width=width)


def without_learned_values(rows: Float[Tensor, "f w"]) -> Float[Tensor, "f w"]:
    """Tokens of columns of which motion is kept and everything learned is 0."""
    kept = torch.zeros_like(rows)
    known = MOTION_VALUES * ROWS_PER_COLUMN
    kept[:, :known] = rows[:, :known]
    return kept
