"""How a turning wheel looks: with spokes, with teeth or solid; always with one bright mark.

Axes: y x pixels of a window.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import Canvas, smooth_step
from earsight.data.foley_room.room import Camera

Wheel = Literal["spokes", "gear", "disc"]
WHEELS: tuple[Wheel, ...] = ("spokes", "gear", "disc")
MARK = np.array([0.92, 0.86, 0.70], np.float32)


def paint_wheel(
    canvas: Canvas,
    camera: Camera,
    wheel: Wheel,
    middle: tuple[float, float, float],
    radius_metres: float,
    colour: Float[np.ndarray, " 3"],
    angle: float,
) -> None:
    """Paint a wheel, given the place of its middle and how far it has turned clockwise."""
    column, row = camera.project(*middle)
    radius = radius_metres * camera.scale(middle[2])
    window = canvas.window(column, row, 1.12 * radius + 1, 1.12 * radius + 1)
    if window is None:
        return
    out = np.hypot(window.right, window.down) / radius
    turned = np.arctan2(window.down, window.right) - np.float32(angle)
    pixel = 1 / radius
    match wheel:
        case "spokes":
            spokes = _up_to(np.abs(np.sin(2.5 * turned)) * out / 2.5, 0.075, pixel)
            inside = np.maximum(_up_to(np.abs(out - 0.9), 0.1, pixel), spokes * (out < 0.9))
        case "gear":
            rim = 0.95 + 0.12 * smooth_step(0.5 + 2 * np.sin(12 * turned))
            holes = np.hypot(out - 0.55, 0.4 * np.sin(2.5 * turned)) < 0.2
            inside = _up_to(out, rim, pixel) * np.where(holes, 0.15, 1)
        case "disc":
            inside = _up_to(out, 1.0, pixel)
    marked = (np.cos(turned) > np.where(out > 0.78, 0.93, 0.97)) & (out > 0.22)
    hub_and_mark = np.maximum(_up_to(out, 0.2, pixel), marked * _up_to(out, 1.0, pixel))
    groove = 1 - 0.35 * _up_to(np.abs(out - 0.75), 0.03, pixel)
    light = (0.85 - 0.3 * window.down / radius - 0.2 * window.right / radius) * groove
    paint = np.where(marked[..., None], MARK, 1.15 * colour + 0.05)
    canvas.cover(window, paint * light[..., None], np.maximum(inside, hub_and_mark))


def _up_to(
    distance: Float[np.ndarray, "y x"], edge: Float[np.ndarray, "y x"] | float, pixel: float
) -> Float[np.ndarray, "y x"]:
    """1 where a distance is below an edge, which is a pixel wide."""
    return np.clip((edge - distance) / pixel + 0.5, 0, 1)
