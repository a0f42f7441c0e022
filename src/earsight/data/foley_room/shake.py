"""A hand-held camera: slow, smooth wandering of the picture.

Axes: two directions (right, down) by three sines.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.clip import PictureSettings


@dataclass(frozen=True, slots=True)
class Shake:
    """Three sines a direction; speeds in radians a second."""

    pixels: Float[np.ndarray, "2 3"]
    speeds: Float[np.ndarray, "2 3"]
    phases: Float[np.ndarray, "2 3"]

    def offset(self, time_seconds: float) -> tuple[float, float]:
        """How far the picture is moved, right and down, in pixels."""
        waves = self.pixels * np.sin(self.speeds * time_seconds + self.phases)
        right, down = waves.sum(1)
        return float(right), float(down)


def choose_shake(rng: np.random.Generator, picture: PictureSettings) -> Shake:
    """A wandering drawn by chance that never exceeds the settings' `camera_shake`."""
    shares = rng.dirichlet(np.ones(3), size=2)
    speeds = 2 * np.pi * rng.uniform(0.2, 1.6, (2, 3))
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    return Shake(shares * picture.camera_shake * picture.height, speeds, phases)


def shake_margin(picture: PictureSettings) -> int:
    """Pixels that a room needs beyond the picture's edges, so that it can wander."""
    return int(np.ceil(picture.camera_shake * picture.height)) + 1
