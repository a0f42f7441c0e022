"""Outlines for painting besides ellipses, many points at once, slow appearance, looks by chance.

Axes: y x pixels of a window, p points.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import Canvas, Window, smooth_step
from earsight.data.foley_room.performance import Looks
from earsight.data.foley_room.room import Camera

APPEARING_SECONDS = 0.3

Combination = tuple[str, str]
"""Names of a colour and a shape."""


def box(
    window: Window, half_width: float, half_height: float, *, round_by: float = 0.0
) -> Float[np.ndarray, "y x"]:
    """1 inside an upright box around the window's middle, with an edge one pixel wide."""
    across = np.abs(window.right) - half_width + round_by
    along = np.abs(window.down) - half_height + round_by
    outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    distance = outside + np.minimum(np.maximum(across, along), 0) - round_by
    return np.clip(0.5 - distance, 0, 1)


def stroke(
    window: Window, start: tuple[float, float], end: tuple[float, float], half_width: float
) -> Float[np.ndarray, "y x"]:
    """1 on a line with round ends, given right and down from the window's middle.

    Lines thinner than a pixel are paler instead.
    """
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    right, down = window.right - start[0], window.down - start[1]
    length = max(1e-6, along_x**2 + along_y**2)
    part = np.clip((right * along_x + down * along_y) / length, 0, 1)
    distance = np.hypot(right - part * along_x, down - part * along_y)
    return np.clip(half_width + 0.5 - distance, 0, min(1.0, 2 * half_width))


def whole_window(canvas: Canvas) -> Window:
    """All of a canvas, with its upper left corner as the middle."""
    height, width = canvas.pixels.shape[:2]
    window = canvas.window(0.0, 0.0, float(width), float(height))
    assert window is not None
    return window


def points(
    canvas: Canvas,
    columns: Float[np.ndarray, " p"],
    rows: Float[np.ndarray, " p"],
    weights: Float[np.ndarray, " p"],
) -> Float[np.ndarray, "y x"]:
    """How strongly every pixel of the canvas is hit by points one pixel wide; weights add up."""
    height, width = canvas.pixels.shape[:2]
    left, top = np.floor(columns - 0.5), np.floor(rows - 0.5)
    across, down = columns - 0.5 - left, rows - 0.5 - top
    # one pixel more on every side takes what lies outside
    column = np.clip(left + 1, 0, width).astype(int)
    row = np.clip(top + 1, 0, height).astype(int)
    near = (left >= -1) & (left < width) & (top >= -1) & (top < height)
    weights = np.where(near, weights, 0)
    stride = width + 2
    first = row * stride + column
    places = np.concatenate([first, first + 1, first + stride, first + stride + 1])
    upper, lower = weights * (1 - down), weights * down
    shares = np.concatenate(
        [upper * (1 - across), upper * across, lower * (1 - across), lower * across]
    )
    hits = np.bincount(places, shares, (height + 2) * stride)
    return hits.reshape(height + 2, stride)[1:-1, 1:-1].astype(np.float32)


@contextmanager
def appearing(
    canvas: Canvas, time_seconds: float, enter_seconds: float
) -> Generator[None, None, None]:
    """Let what is painted inside show up gradually, where it enters after the clip's start."""
    part = 1.0
    if enter_seconds > 0:
        part = float(smooth_step(np.array((time_seconds - enter_seconds) / APPEARING_SECONDS)))
    before = canvas.pixels.copy() if part < 1 else canvas.pixels
    yield
    if part < 1:
        canvas.pixels[:] = before + part * (canvas.pixels - before)


def part_in_view(
    camera: Camera, left: float, right: float, bottom: float, top: float, z: float
) -> float:
    """Part of an upright rectangle at a distance that lies inside the picture."""
    first, upper = camera.project(left, top, z)
    last, lower = camera.project(right, bottom, z)
    across = min(last, camera.width) - max(first, 0)
    along = min(lower, camera.height) - max(upper, 0)
    return max(0.0, across) * max(0.0, along) / ((last - first) * (lower - upper))


def choose_combination(
    rng: np.random.Generator,
    colours: Mapping[str, object],
    shapes: Sequence[str],
    held_out: frozenset[Combination],
    looks: Looks,
) -> Combination:
    """Names of a colour and a shape, from the combinations that these looks may have."""
    allowed = [
        (colour, shape)
        for colour in colours
        for shape in shapes
        if ((colour, shape) in held_out) == (looks == "held_out")
    ]
    return allowed[int(rng.integers(len(allowed)))]
