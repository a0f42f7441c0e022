"""Painting on a picture in linear light: soft and sharp shapes, laid over what is there.

Axes: h w pixels, y x pixels of a window, c colours (red, green, blue in 0 to 1).
Positions are in pixels from the left and the top; pixel centres lie at halves.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

GAMMA = 2.2


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a canvas, and how far its pixels lie from a middle, right and down."""

    rows: slice
    columns: slice
    right: Float[np.ndarray, "y x"]
    down: Float[np.ndarray, "y x"]


class Canvas:
    """A picture that is painted on; colours are linear in light."""

    def __init__(self, pixels: Float[np.ndarray, "h w 3"]) -> None:
        self.pixels = pixels.astype(np.float32, copy=True)

    def window(self, x: float, y: float, reach_x: float, reach_y: float) -> Window | None:
        """The pixels within reach of a middle; None where all of them lie outside."""
        height, width = self.pixels.shape[:2]
        left, right = max(0, math.floor(x - reach_x)), min(width, math.ceil(x + reach_x))
        top, bottom = max(0, math.floor(y - reach_y)), min(height, math.ceil(y + reach_y))
        if left >= right or top >= bottom:
            return None
        columns = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - x)
        rows = np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y)
        # far faster than meshgrid, which scenes would spend a third of their time in
        across = np.ones((len(rows), 1), np.float32) * columns
        down = rows[:, None] * np.ones((1, len(columns)), np.float32)
        return Window(slice(top, bottom), slice(left, right), across, down)

    def under(self, window: Window) -> Float[np.ndarray, "y x 3"]:
        """A copy of what is painted in a window so far."""
        return self.pixels[window.rows, window.columns].copy()

    def cover(
        self,
        window: Window,
        colour: Float[np.ndarray, "y x 3"] | Float[np.ndarray, " 3"],
        opacity: Float[np.ndarray, "y x"],
    ) -> None:
        """Lay a colour over a window."""
        below = self.pixels[window.rows, window.columns]
        mixed = below + (colour - below) * opacity[..., None]
        self.pixels[window.rows, window.columns] = mixed

    def shade(self, window: Window, darkness: Float[np.ndarray, "y x"]) -> None:
        """Take away a part of the light."""
        self.pixels[window.rows, window.columns] *= (1 - darkness)[..., None]

    def glow(
        self, window: Window, colour: Float[np.ndarray, " 3"], strength: Float[np.ndarray, "y x"]
    ) -> None:
        """Add light."""
        self.pixels[window.rows, window.columns] += colour * strength[..., None]


def soft_ellipse(
    window: Window, radius_x: float, radius_y: float, *, softness: float
) -> Float[np.ndarray, "y x"]:
    """1 inside an ellipse, falling to 0 over `softness` of its radius on both sides of the edge."""
    distance = np.hypot(window.right / radius_x, window.down / radius_y)
    return 1 - smooth_step((distance - 1 + softness) / (2 * softness))


def disc(window: Window, radius: float) -> Float[np.ndarray, "y x"]:
    """1 inside a disc, 0 outside, with an edge one pixel wide."""
    return np.clip(radius - np.hypot(window.right, window.down) + 0.5, 0, 1)


def smooth_step(x: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """0 below 0, 1 above 1, an S between."""
    inside = np.clip(x, 0, 1)
    return np.asarray(inside**2 * (3 - 2 * inside))  # of one number numpy makes a scalar


def value_noise(
    x: Float[np.ndarray, "*any"], y: Float[np.ndarray, "*any"], table: Float[np.ndarray, "n n"]
) -> Float[np.ndarray, "*any"]:
    """Smooth noise over the plane: `table` at whole coordinates, repeated, S-shaped between."""
    size = table.shape[0]
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = smooth_step(x - column), smooth_step(y - row)
    left, right, top, bottom = column % size, (column + 1) % size, row % size, (row + 1) % size
    upper = table[top, left] + (table[top, right] - table[top, left]) * across
    lower = table[bottom, left] + (table[bottom, right] - table[bottom, left]) * across
    return upper + (lower - upper) * down


def shifted(
    pixels: Float[np.ndarray, "h w 3"], right: float, down: float, margin: int
) -> Float[np.ndarray, "y x 3"]:
    """The picture without its margin, moved by parts of pixels up to the margin."""
    column, row = margin - right, margin - down
    left, top = math.floor(column), math.floor(row)
    across, along = column - left, row - top
    height, width = pixels.shape[0] - 2 * margin, pixels.shape[1] - 2 * margin
    corner = pixels[top : top + height + 1, left : left + width + 1]
    # at the far end of the margin the next row or column is missing: repeat the last
    missing = ((0, height + 1 - corner.shape[0]), (0, width + 1 - corner.shape[1]), (0, 0))
    corner = np.pad(corner, missing, mode="edge")
    rows = corner[:-1] * (1 - along) + corner[1:] * along
    return rows[:, :-1] * (1 - across) + rows[:, 1:] * across


def displayed(pixels: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light as the 8-bit values that screens expect."""
    return np.round(np.clip(pixels, 0, 1) ** (1 / GAMMA) * 255).astype(np.uint8)
