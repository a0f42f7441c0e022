"""A ball or block in motion: where it is, what it throws up, and how both are painted."""

import math
from dataclasses import dataclass

import numpy as np

from earsight.data.foley_room.ball import (
    DUST_SECONDS,
    BallLook,
    Dust,
    Material,
    paint_ball,
    paint_dust,
    paint_shadow,
)
from earsight.data.foley_room.bounces import GRAVITY, Contact, Drop, Pose, contacts, pose
from earsight.data.foley_room.canvas import Canvas
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import part_in_view

LOUDEST_SPEED = 7.0  # m/s, the impact speed whose loudness is 1
RESTITUTION: dict[Material, tuple[float, float]] = {
    "wood": (0.60, 0.72), "metal": (0.70, 0.80), "glass": (0.74, 0.82),
}  # fmt: skip
COLOURS: dict[Material, tuple[Colour, ...]] = {
    "wood": ((0.60, 0.36, 0.16), (0.42, 0.21, 0.09), (0.68, 0.50, 0.28)),
    "metal": ((0.74, 0.76, 0.80), (0.78, 0.56, 0.24), (0.70, 0.40, 0.28)),
    "glass": ((0.12, 0.55, 0.42), (0.14, 0.36, 0.75), (0.75, 0.28, 0.12)),
}
NUM_SPECKS = 14
TUMBLING_SPEED = 2.0  # m/s; a block that leaves the floor faster makes a quarter turn in flight
SLIDING_SECONDS = 0.12


@dataclass(frozen=True, slots=True)
class Bouncing:
    """A ball or block, its flight, and the dust of its contacts with the floor."""

    look: BallLook
    drop: Drop
    z: float
    touches: tuple[Contact, ...]
    dust: tuple[Dust, ...]

    def pose(self, time_seconds: float) -> Pose:
        """Where it is at a time; a block lands on its faces, and slides to a stop."""
        at = pose(self.drop, self.touches, time_seconds)
        return at if self.look.shape == "ball" else self._block_pose(at, time_seconds)

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay shadow, body and dust over the picture; nothing before it is let go."""
        if time_seconds < self.drop.start_seconds:
            return
        at = self.pose(time_seconds)
        if abs(at.x) - 2 * self.look.radius <= self._reach(camera):
            paint_shadow(canvas, camera, at.x, at.height, self.z, self.look.radius)
            paint_ball(canvas, camera, self.look, at.x, at.height, self.z, at.angle)
        for dust in self.dust:
            if 0 <= time_seconds - dust.time_seconds < DUST_SECONDS:
                paint_dust(canvas, camera, dust, time_seconds)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the bounding square that lies inside the picture."""
        if time_seconds < self.drop.start_seconds:
            return 0.0
        at = self.pose(time_seconds)
        radius = self.look.radius
        return part_in_view(
            camera, at.x - radius, at.x + radius, at.height, at.height + 2 * radius, self.z
        )

    def _reach(self, camera: Camera) -> float:
        """Metres from the middle of the room to the edge of the view, moved as it may be."""
        return camera.half_width(self.z) + 0.2 + abs(camera.moved_right) / camera.scale(self.z)

    def _block_pose(self, at: Pose, time_seconds: float) -> Pose:
        past = [touch for touch in self.touches if touch.time_seconds <= time_seconds]
        tumbles = [touch for touch in past if touch.leaving_speed > TUMBLING_SPEED]
        turned = len(tumbles) * math.pi / 2
        if not past:
            return Pose(x=at.x, height=at.height, angle=0.0)
        last = past[-1]
        since = time_seconds - last.time_seconds
        x = at.x
        if last.leaving_speed > TUMBLING_SPEED:
            turned += (since * GRAVITY / (2 * last.leaving_speed) - 1) * math.pi / 2
        elif last.leaving_speed == 0:
            gone = SLIDING_SECONDS * (1 - math.exp(-since / SLIDING_SECONDS))
            x = last.x + last.speed_x * gone
        return Pose(x=x, height=at.height, angle=turned)


def bouncing(look: BallLook, drop: Drop, z: float, dust: tuple[Dust, ...] = ()) -> Bouncing:
    """A ball or block let go, its contacts worked out."""
    return Bouncing(look, drop, z, contacts(drop), dust)


def choose_dust(rng: np.random.Generator, touch: Contact, z: float) -> Dust:
    """Specks thrown up by a contact, drawn by chance: more force, faster and larger."""
    force = touch.impact_speed / LOUDEST_SPEED
    sides = np.where(np.arange(NUM_SPECKS) % 2, 1.0, -1.0)
    return Dust(
        x=touch.x,
        z=z,
        time_seconds=touch.time_seconds,
        speed_x=sides * force * rng.uniform(0.6, 3.2, NUM_SPECKS),
        speed_y=force * rng.uniform(0.1, 1.1, NUM_SPECKS),
        radius=force * rng.uniform(0.012, 0.035, NUM_SPECKS),
    )
