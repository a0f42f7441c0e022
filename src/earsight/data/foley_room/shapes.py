"""Outlines for painting besides ellipses, many points at once, slow appearance.

Axes: y x pixels of a window, p points, l lines, c corners of a line.
"""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import Canvas, Window, smooth_step
from earsight.data.foley_room.performance import Stage
from earsight.data.foley_room.room import EYE_HEIGHT, Camera

APPEARING_SECONDS = 0.3


def box(
    window: Window, half_width: float, half_height: float, *, round_by: float = 0.0
) -> Float[np.ndarray, "y x"]:
    """1 inside an upright box around the window's middle, with an edge one pixel wide."""
    across = np.abs(window.right) - half_width + round_by
    along = np.abs(window.down) - half_height + round_by
    outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    distance = outside + np.minimum(np.maximum(across, along), 0) - round_by
    return np.clip(0.5 - distance, 0, 1)


def rod(
    window: Window, start: tuple[float, float], end: tuple[float, float], half_width: float
) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """A bar with round ends, given right and down from the window's middle: opacity and light.

    Light is 0 to 1 as on a round bar lit from the upper left. Bars thinner than a pixel are paler.
    """
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    right, down = window.right - start[0], window.down - start[1]
    length = max(1e-6, along_x**2 + along_y**2)
    part = np.clip((right * along_x + down * along_y) / length, 0, 1)
    right, down = right - part * along_x, down - part * along_y
    opacity = np.clip(half_width + 0.5 - np.hypot(right, down), 0, min(1.0, 2 * half_width))
    light = np.clip(0.5 - (0.35 * right + 0.5 * down) / max(half_width, 1.0), 0, 1)
    return opacity, light


def along_lines(
    corners: Float[np.ndarray, "l c 2"], spacing: float = 0.5
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """Points along lines through given corners: columns, rows, and the length each stands for.

    All lines take as many points as the longest needs. Lengths and spacing in pixels.
    """
    steps = np.diff(corners, axis=1)
    lengths = np.hypot(steps[..., 0], steps[..., 1])
    count = int(np.ceil(lengths.max() / spacing)) + 1
    part = (np.arange(count) + 0.5) / count
    places = corners[:, :-1, None] + steps[:, :, None] * part[:, None]
    stands_for = np.broadcast_to(lengths[..., None] / count, places.shape[:-1])
    return places[..., 0].ravel(), places[..., 1].ravel(), stands_for.ravel()


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


def has_entered(stage: Stage, time_seconds: float) -> bool:
    """Whether there is anything to see; what does not enter late has always been there."""
    return stage.enter_seconds <= 0 or time_seconds > stage.enter_seconds


@contextmanager
def appearing(canvas: Canvas, stage: Stage, time_seconds: float) -> Generator[None, None, None]:
    """Let what is painted inside show up gradually, where it enters after the clip's start."""
    part = 1.0
    if stage.enter_seconds > 0:
        since = time_seconds - stage.enter_seconds
        part = float(smooth_step(np.array([since / APPEARING_SECONDS]))[0])
    before = canvas.pixels.copy() if part < 1 else canvas.pixels
    yield
    if part < 1:
        canvas.pixels[:] = before + part * (canvas.pixels - before)


def projected(
    camera: Camera,
    x: Float[np.ndarray, "*any"],
    y: Float[np.ndarray, "*any"],
    z: Float[np.ndarray, "*any"],
) -> Float[np.ndarray, "*any 2"]:
    """Column and row of many points, as `Camera.project` gives them for one."""
    scale = camera.focal / z
    columns = camera.width / 2 + x * scale + camera.moved_right
    rows = camera.horizon + (EYE_HEIGHT - y) * scale + camera.moved_down
    return np.stack([columns, rows], -1)


def part_in_view(
    camera: Camera, left: float, right: float, bottom: float, top: float, z: float
) -> float:
    """Part of an upright rectangle at a distance that lies inside the picture."""
    first, upper = camera.project(left, top, z)
    last, lower = camera.project(right, bottom, z)
    across = min(last, camera.width) - max(first, 0)
    along = min(lower, camera.height) - max(upper, 0)
    return max(0.0, across) * max(0.0, along) / ((last - first) * (lower - upper))
