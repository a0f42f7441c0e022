"""Scene: a ball or block of wood, metal or glass falls and bounces.

The look tells the material; every contact with the floor sounds as its material does, the louder
the faster.
"""

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import MATERIALS, SHAPES, BallLook
from earsight.data.foley_room.bounces import Drop, contacts
from earsight.data.foley_room.bouncing import (
    COLOURS,
    LOUDEST_SPEED,
    RESTITUTION,
    Bouncing,
    bouncing,
    choose_dust,
)
from earsight.data.foley_room.canvas import Canvas
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.modal import Ringing, ringing_envelope, struck
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera

SMALLEST, LARGEST = 0.17, 0.24  # metres, half the width
DROP_HEIGHT = (1.0, 1.9)
BETWEEN_SECONDS = (1.7, 2.6)
SHARES_SIDEWAYS = (0.02, 0.07)  # of the stage's width, per second
ENVELOPE_SECONDS = 0.12


class _DropScene(Performance):
    class_name = "drop"

    def __init__(
        self,
        stage: Stage,
        look: tuple[int, int],
        bodies: tuple[Bouncing, ...],
        ringing: Ringing,
    ) -> None:
        self.look = look
        self._stage = stage
        self._bodies = bodies
        found = [
            Happening(
                time_seconds=touch.time_seconds,
                strength=min(1.0, touch.impact_speed / LOUDEST_SPEED),
            )
            for body in bodies
            for touch in body.touches
            if touch.time_seconds < stage.clip_seconds
        ]
        self._happenings = tuple(sorted(found, key=lambda one: one.time_seconds))
        self._ringing = ringing

    @property
    def happenings(self) -> tuple[Happening, ...]:
        return self._happenings

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        for body in self._bodies:
            body.paint(canvas, camera, time_seconds)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        return max(body.visible_part(camera, time_seconds) for body in self._bodies)

    def sound(self) -> Float[np.ndarray, " s"]:
        return struck(self._ringing, self._happenings, self._stage.clip_seconds)

    def envelope(self) -> Float[np.ndarray, " n"]:
        return ringing_envelope(self._happenings, self._stage.clip_seconds, ENVELOPE_SECONDS)


def perform_drop(rng: np.random.Generator, stage: Stage) -> Performance:
    """A ball or block of one material, let go again whenever it has come to rest."""
    material = MATERIALS[int(rng.integers(len(MATERIALS)))]
    colours = COLOURS[material]
    colour, shape = choose_combination(
        rng, num_colours=len(colours), num_shapes=len(SHAPES), looks=stage.looks
    )
    largest = min(LARGEST, 0.22 * stage.width)
    radius = float(rng.uniform(SMALLEST / LARGEST, 1.0)) * largest
    look = BallLook(material=material, colour=colours[colour], radius=radius, shape=SHAPES[shape])
    restitution = float(rng.uniform(*RESTITUTION[material]))
    bodies: list[Bouncing] = []
    start = stage.enter_seconds + float(rng.uniform(0.0, 0.25))
    side = float(rng.choice([-1.0, 1.0]))
    while start < stage.clip_seconds - 0.8 or not bodies:
        drop = Drop(
            start_seconds=start,
            start_x=stage.x + side * stage.width * float(rng.uniform(0.17, 0.27)),
            start_height=float(rng.uniform(*DROP_HEIGHT)),
            speed_x=-side * stage.width * float(rng.uniform(*SHARES_SIDEWAYS)),
            radius=radius,
            restitution=restitution,
        )
        dust = tuple(choose_dust(rng, touch, stage.z) for touch in contacts(drop))
        bodies.append(bouncing(look, drop, stage.z, dust))
        start += float(rng.uniform(*BETWEEN_SECONDS))
        side = -side
    ringing = Ringing(
        rng, material, stage.rate_hz, size=radius / 0.2, longest_seconds=stage.clip_seconds
    )
    return _DropScene(stage, (colour, shape), tuple(bodies), ringing)
