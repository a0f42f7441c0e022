"""A rigid ball let go above a floor: when it touches, how hard, and where it is meanwhile.

Lengths in metres, times in seconds, heights are those of the ball's lowest point.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass

from earsight.errors import ConfigError

GRAVITY = 9.81
RESTING_SPEED = 0.3  # m/s; a ball that leaves the floor more slowly stays on it and rolls
GRIP = 0.94  # part of the sideways speed that a contact leaves


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """How a ball is let go; `restitution` is the part of the speed that a contact gives back."""

    start_seconds: float
    start_x: float
    start_height: float
    speed_x: float
    radius: float
    restitution: float

    def __post_init__(self) -> None:
        if not 0 < self.restitution < 1:
            raise ConfigError(f"restitution must be between 0 and 1, got {self.restitution}")
        if self.start_height <= 0 or self.radius <= 0:
            raise ConfigError("a ball needs a radius and a height above the floor, both over 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """A touch of the floor and how the ball leaves it."""

    time_seconds: float
    impact_speed: float
    x: float
    angle: float
    speed_x: float
    leaving_speed: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Where a ball is and how far it has turned (radians, clockwise)."""

    x: float
    height: float
    angle: float


def contacts(drop: Drop) -> tuple[Contact, ...]:
    """Every touch of the floor until the ball rests on it; times grow."""
    impact_speed = math.sqrt(2 * GRAVITY * drop.start_height)
    fall = impact_speed / GRAVITY
    time, x, angle = drop.start_seconds + fall, drop.start_x + drop.speed_x * fall, 0.0
    speed_x = drop.speed_x * GRIP
    found: list[Contact] = []
    while True:
        leaving = drop.restitution * impact_speed
        rests = leaving < RESTING_SPEED
        found.append(
            Contact(
                time_seconds=time,
                impact_speed=impact_speed,
                x=x,
                angle=angle,
                speed_x=speed_x,
                leaving_speed=0.0 if rests else leaving,
            )
        )
        if rests:
            return tuple(found)
        flight = 2 * leaving / GRAVITY
        time, impact_speed = time + flight, leaving
        x, angle = x + speed_x * flight, angle + speed_x * flight / drop.radius
        speed_x *= GRIP


def pose(drop: Drop, touches: tuple[Contact, ...], time_seconds: float) -> Pose:
    """Where the ball is at a time; before it is let go it waits at its start.

    `touches` are the contacts of the same drop.
    """
    after = bisect_right(touches, time_seconds, key=lambda touch: touch.time_seconds)
    if after == 0:
        since = max(0.0, time_seconds - drop.start_seconds)
        height = max(0.0, drop.start_height - GRAVITY * since**2 / 2)
        return Pose(x=drop.start_x + drop.speed_x * since, height=height, angle=0.0)
    last = touches[after - 1]
    since = time_seconds - last.time_seconds
    flying = last.leaving_speed > 0
    height = last.leaving_speed * since - GRAVITY * since**2 / 2 if flying else 0.0
    return Pose(
        x=last.x + last.speed_x * since,
        height=max(0.0, height),
        angle=last.angle + last.speed_x * since / drop.radius,
    )
