"""What the code transformer sees of a picture: one row of features per moment, any length.

Axes: n frames, r values of a frame, f feature tokens of one window, w feature width.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.column_rows import COLUMN_SECONDS, column_rows
from earsight.frontends.motion import MotionTrack, motion_features
from earsight.frontends.visual_features import (
    CLIP_ROWS,
    FEATURE_FPS,
    MODEL_ROWS,
    condition_rows,
    crop_rows,
    random_rows,
    resample_rows,
)

VisualKind = Literal["motion", "sight", "resnet50", "bn_inception", "noise", "none"]
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


class RowConditions:
    """One token per code column: rows of values per video frame, at the frames of the column."""

    def __init__(self, rows: Float[Tensor, "n r"], *, num_columns: int) -> None:
        self._rows = rows
        self._num_columns = num_columns

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """Tokens of `num_columns` code columns."""
        return column_rows(
            self._rows, num_columns=self._num_columns, start_seconds=column * COLUMN_SECONDS
        )


Features = Callable[[Sequence[Shaped[Tensor, "..."]]], Float[Tensor, "n w"]]


class FeatureConditions:
    """Frame features at 21.5 frames a second, worked out for the frames that a window takes.

    `kept` yields something small per frame, `features` turns chosen ones into rows. A first window
    that the video does not fill is completed as `short` says; at the end of a longer video the
    last frame stands for the few that are missing.
    """

    def __init__(
        self,
        kept: Iterable[Shaped[Tensor, "..."]],
        features: Features,
        *,
        num_samples: int,
        short: Literal["zeros", "tile"],
    ) -> None:
        self._source = iter(kept)
        self._features = features
        self._num_samples = num_samples
        self._short: Literal["zeros", "tile"] = short
        self._buffer: list[Tensor] = []
        self._first = 0
        self._known: dict[int, Tensor] = {}

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """The published choice of rows for the 9.85 s from `column` on."""
        start = round(column * COLUMN_SECONDS * FEATURE_FPS)
        self._read(start)
        if not self._buffer:
            raise InputError("video has no frames where sound is wanted: shorten the duration")
        wanted = self._frames_of_window(column)
        new = sorted({frame for frame in wanted if frame >= 0} - set(self._known))
        if new:
            rows = self._features([self._buffer[frame - self._first] for frame in new])
            self._known.update(zip(new, rows.float(), strict=True))
        nothing = torch.zeros_like(next(iter(self._known.values())))
        return torch.stack([self._known.get(frame, nothing) for frame in wanted])

    def _frames_of_window(self, column: int) -> list[int]:
        """Frame of every row, counted from the video's start; -1 for a row of zeros."""
        count = min(len(self._buffer), CLIP_ROWS)
        # the rules for rows, applied to numbers: 0 is what padding adds
        numbers = torch.arange(1, count + 1, dtype=torch.float32)[:, None]
        if column == 0 and count < MODEL_ROWS:
            picked = condition_rows(numbers, self._num_samples, short=self._short)
        else:
            missing = numbers[-1:].expand(CLIP_ROWS - count, -1)
            picked = resample_rows(crop_rows(torch.cat([numbers, missing])), self._num_samples)
        return [self._first + int(n) - 1 if n > 0 else -1 for n in picked[:, 0]]

    def _read(self, start: int) -> None:
        while self._first + len(self._buffer) < start + CLIP_ROWS:
            frame = next(self._source, None)
            if frame is None:
                break
            self._buffer.append(frame)
            if len(self._buffer) > CLIP_ROWS and self._first < start:
                self._drop(self._first + 1)
        self._drop(start)

    def _drop(self, first: int) -> None:
        # the last frame stays: it stands for what the video does not have
        gone = min(max(first - self._first, 0), len(self._buffer) - 1)
        if gone > 0:
            self._buffer = self._buffer[gone:]
            self._first += gone
            self._known = {n: row for n, row in self._known.items() if n >= self._first}


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


class WithheldConditions:
    """Zeros instead of features: what a model that was trained so takes for "no picture"."""

    def __init__(self, *, num_features: int, width: int) -> None:
        self._nothing = torch.zeros(num_features, width)

    def window(self, column: int) -> Float[Tensor, "f w"]:
        """Nothing is seen in any window."""
        del column
        return self._nothing


class NoConditions:
    """For models that know a class only."""

    def window(self, column: int) -> None:
        """Nothing."""
        del column


def never_still(track: MotionTrack) -> MotionTrack:
    """The track with its energy lifted so that its loudest twentieth reaches STILL_ENERGY.

    A video in which hardly anything moves (an engine, a crowd far away) still has a sound; one that
    moves is left as it is.
    """
    strength = torch.maximum(track.energy, track.onset).sort().values
    high = float(strength[int(0.95 * (len(strength) - 1))])
    lift = max(0.0, STILL_ENERGY - high)
    return replace(track, energy=(track.energy + lift).clamp(max=1))


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
