"""What the code transformer sees of a picture: one row of features per moment, any length.

Axes: n frames, f feature tokens of one window, w feature width.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.motion import COLUMN_SECONDS, MotionTrack, motion_features
from earsight.frontends.visual_features import (
    CLIP_ROWS,
    FEATURE_FPS,
    MODEL_ROWS,
    condition_rows,
    crop_rows,
    random_rows,
    resample_rows,
)

VisualKind = Literal["motion", "resnet50", "bn_inception", "noise", "none"]
STILL_ENERGY = 0.5
"""Motion assumed for a still picture: it has none to measure, and silence is no answer."""


@runtime_checkable
class Conditions(Protocol):
    """Feature tokens of the window that begins at a code column."""

    def window(self, column: int) -> Float[Tensor, "f w"] | None:
        """Rows for the model; None where it takes no features. Columns must not go back."""
        ...


class MotionConditions:
    """One token per code column: motion energy and onsets."""

    def __init__(self, track: MotionTrack, *, num_columns: int) -> None:
        self._track = track
        self._num_columns = num_columns

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """Tokens of `num_columns` code columns."""
        return motion_features(
            self._track, num_columns=self._num_columns, start_seconds=column * COLUMN_SECONDS
        )


class FeatureConditions:
    """Frame features at 21.5 frames a second, read as far as they are needed.

    A first window that the video does not fill is completed as `short` says; at the end of a
    longer video the last row stands for the few that are missing.
    """

    def __init__(
        self,
        rows: Iterable[Float[Tensor, " w"]],
        *,
        num_samples: int,
        short: Literal["zeros", "tile"],
    ) -> None:
        self._source: Iterator[Tensor] = iter(rows)
        self._num_samples = num_samples
        self._short: Literal["zeros", "tile"] = short
        self._buffer: list[Tensor] = []
        self._first = 0

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """The published choice of rows for the 9.85 s from `column` on."""
        start = round(column * COLUMN_SECONDS * FEATURE_FPS)
        while self._first + len(self._buffer) < start + CLIP_ROWS:
            row = next(self._source, None)
            if row is None:
                break
            self._buffer.append(row)
            if len(self._buffer) > CLIP_ROWS and self._first < start:
                self._drop(self._first + 1)
        self._drop(start)
        if not self._buffer:
            raise InputError("video has no frames where sound is wanted: shorten the duration")
        rows = torch.stack(self._buffer[:CLIP_ROWS])
        if column == 0 and rows.shape[0] < MODEL_ROWS:
            return condition_rows(rows, self._num_samples, short=self._short)
        missing = CLIP_ROWS - rows.shape[0]
        rows = torch.cat([rows.float(), rows[-1:].float().expand(missing, -1)])
        return resample_rows(crop_rows(rows), self._num_samples)

    def _drop(self, first: int) -> None:
        # the last row stays: it stands for what the video does not have
        gone = min(max(first - self._first, 0), len(self._buffer) - 1)
        if gone > 0:
            self._buffer = self._buffer[gone:]
            self._first += gone


class NoiseConditions:
    """Fresh noise instead of features: the published "no feats" models."""

    def __init__(self, generator: torch.Generator, *, num_samples: int, width: int) -> None:
        self._generator = generator
        self._num_samples = num_samples
        self._width = width

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """New noise for every window."""
        del column
        return random_rows(self._num_samples, generator=self._generator, width=self._width)


class NoConditions:
    """For models that know a class only."""

    def window(self, column: int) -> None:
        """Nothing."""
        del column


def still_track(seconds: float) -> MotionTrack:
    """A track of steady motion, for a picture that does not move."""
    num_frames = max(1, round(seconds * FEATURE_FPS))
    energy = torch.full((num_frames,), STILL_ENERGY)
    nothing = torch.zeros(num_frames)
    return MotionTrack(
        energy=energy,
        onset=nothing,
        grid_energy=energy[:, None],
        grid_onset=nothing[:, None],
        breaks=torch.zeros(num_frames, dtype=torch.bool),
        fps=FEATURE_FPS,
    )
