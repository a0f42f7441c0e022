"""Fireworks: how far away they are, how their sparks fly, when they are heard.

Axes: p sparks or points.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Kind = Literal["ball", "ring", "willow"]
KINDS: tuple[Kind, ...] = ("ball", "ring", "willow")
SOUND_METRES_A_SECOND = 343.0
NEAREST, FARTHEST = 10.0, 60.0  # metres to a burst
RISE_SECONDS = 0.7
GLOW_SECONDS: dict[Kind, float] = {"ball": 1.2, "ring": 1.0, "willow": 1.9}
SINKING: dict[Kind, float] = {"ball": 0.12, "ring": 0.08, "willow": 0.30}  # metres, first second
NUM_SPARKS = 72


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """A burst of sparks that fly `sparks` (parts of its radius, right and up).

    It is seen at `time_seconds` at `x` (metres on the pane, right of its middle) and height `y`,
    and is `distance` metres away.
    """

    kind: Kind
    time_seconds: float
    x: float
    y: float
    distance: float
    sparks: Float[np.ndarray, "p 2"]

    @property
    def heard_seconds(self) -> float:
        """When its sound arrives."""
        return self.time_seconds + self.distance / SOUND_METRES_A_SECOND

    @property
    def strength(self) -> float:
        """1 for the nearest."""
        return (NEAREST / self.distance) ** 0.45

    @property
    def radius(self) -> float:
        """Metres on the window pane."""
        return 0.85 * (NEAREST / self.distance) ** 0.45


def choose_burst(
    rng: np.random.Generator, kind: Kind, time_seconds: float, middle: tuple[float, float]
) -> Burst:
    """A burst at a time and place; its distance and its sparks are drawn by chance."""
    return Burst(
        kind=kind,
        time_seconds=time_seconds,
        x=middle[0],
        y=middle[1],
        distance=NEAREST * (FARTHEST / NEAREST) ** float(rng.uniform(0, 1)),
        sparks=_sparks(rng, kind),
    )


def flying_sparks(
    burst: Burst, ground: float, time_seconds: float
) -> tuple[Float[np.ndarray, "p 2"], Float[np.ndarray, " p"]]:
    """Points of a burst, or of the spark that rises to it from a height, and their brightness.

    Points are metres on the pane, right of its middle and above the floor.
    """
    since = time_seconds - burst.time_seconds
    middle = np.array([burst.x, burst.y])
    if -RISE_SECONDS < since < 0:
        part = 1 + since / RISE_SECONDS - np.arange(8) * 0.02
        height = ground + (burst.y - ground) * (1 - (1 - part) ** 2)
        sway = burst.x - 0.15 * burst.x * (1 - part)
        return np.stack([sway, height], 1), np.linspace(0.9, 0.1, 8) * (part > 0)
    kind = burst.kind
    if not 0 <= since < GLOW_SECONDS[kind]:
        return np.empty((0, 2)), np.empty(0)
    # where each spark was a little before stands for its trail
    ages = np.maximum(since - np.arange(5) * (0.05 if kind == "willow" else 0.02), 0.0)
    spread = burst.radius * (1 - np.exp(-4.5 * ages))
    places = middle + spread[:, None, None] * burst.sparks
    places[..., 1] -= (SINKING[kind] * ages**2)[:, None]
    glow = (1 - since / GLOW_SECONDS[kind]) ** 1.2 * np.linspace(1.0, 0.2, 5)
    return places.reshape(-1, 2), np.repeat(0.9 * glow, len(burst.sparks))


def _sparks(rng: np.random.Generator, kind: Kind) -> Float[np.ndarray, "p 2"]:
    if kind == "ring":
        angle = 2 * np.pi * (np.arange(NUM_SPARKS) + rng.uniform(0, 0.5, NUM_SPARKS)) / NUM_SPARKS
        tilt = rng.uniform(0.45, 1.0)
        return np.stack([np.cos(angle), tilt * np.sin(angle)], 1)
    ball = rng.standard_normal((NUM_SPARKS, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    return ball[:, :2] * rng.uniform(0.75, 1.0, (NUM_SPARKS, 1))
