"""Scene: a bell swings on its beam and rings wherever it turns.

Its partials are those of a cast bell and no multiples of one another; a larger bell sounds lower.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, Window, disc
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.modal import Ringing, ringing_envelope, struck
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import appearing, has_entered, part_in_view, rod

COLOURS: tuple[Colour, ...] = (
    (0.80, 0.56, 0.14), (0.62, 0.65, 0.70), (0.56, 0.25, 0.13), (0.20, 0.40, 0.32),
)  # fmt: skip
BEAM_COLOUR = np.array([0.23, 0.13, 0.07], np.float32)
CLAPPER_COLOUR = np.array([0.10, 0.09, 0.09], np.float32)
BEAM_HEIGHT = 1.45
POST = 0.045
ENVELOPE_SECONDS = 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class BellShape:
    """Half widths at crown, waist and lip, and height, in metres."""

    crown: float
    waist: float
    lip: float
    height: float


SHAPES = (
    BellShape(crown=0.15, waist=0.20, lip=0.36, height=0.62),
    BellShape(crown=0.12, waist=0.22, lip=0.27, height=0.78),
    BellShape(crown=0.24, waist=0.31, lip=0.40, height=0.46),
)


class _BellScene(Performance):
    class_name = "bell"

    def __init__(
        self,
        stage: Stage,
        look: tuple[int, int],
        size: float,
        turns: tuple[Happening, ...],
        half_period: float,
        widest: float,
        ringing: Ringing,
    ) -> None:
        self.look = look
        self._stage = stage
        self._shape = SHAPES[look[1]]
        self._colour = np.array(COLOURS[look[0]], np.float32)
        self._size = size
        self._turns = turns
        self._half_period = half_period
        self._widest = widest
        self._ringing = ringing

    @property
    def happenings(self) -> tuple[Happening, ...]:
        return self._turns

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        stage = self._stage
        if not has_entered(stage, time_seconds):
            return
        with appearing(canvas, stage, time_seconds):
            self._paint_frame(canvas, camera)
            angle = self.swing(time_seconds)
            self._paint_clapper(canvas, camera, time_seconds, angle)
            self._paint_bell(canvas, camera, angle)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        if not has_entered(self._stage, time_seconds):
            return 0.0
        size, x = self._size, self._stage.x
        across = size * (self._shape.lip + 0.6 * self._shape.height * math.sin(self._widest))
        high = size * BEAM_HEIGHT
        low = high - size * self._shape.height
        return part_in_view(camera, x - across, x + across, low, high, self._stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        return struck(self._ringing, self._turns, self._stage.clip_seconds)

    def envelope(self) -> Float[np.ndarray, " n"]:
        return ringing_envelope(self._turns, self._stage.clip_seconds, ENVELOPE_SECONDS)

    def swing(self, time_seconds: float) -> float:
        """Angle of the bell in radians, mouth to the right; widest at each turn."""
        since = (time_seconds - self._turns[0].time_seconds) / self._half_period
        return self._widest * math.cos(math.pi * since)

    def _paint_frame(self, canvas: Canvas, camera: Camera) -> None:
        """Two slanted posts and the beam that the bell hangs from."""
        stage, size = self._stage, self._size
        half = size * (self._shape.lip + 0.16)
        high = size * BEAM_HEIGHT
        for side in (-1.0, 1.0):
            paint_shadow(canvas, camera, stage.x + side * half, 0.0, stage.z, 0.12 * size)
            foot = (stage.x + side * half, 0.0)
            self._bar(canvas, camera, foot, (stage.x + side * 0.8 * half, high), POST * size)
        left, right = (stage.x - 0.9 * half, high), (stage.x + 0.9 * half, high)
        self._bar(canvas, camera, left, right, 1.2 * POST * size)

    def _paint_bell(self, canvas: Canvas, camera: Camera, angle: float) -> None:
        stage, shape, size = self._stage, self._shape, self._size
        scale = camera.scale(stage.z) * size
        column, row = camera.project(stage.x, size * BEAM_HEIGHT, stage.z)
        reach = math.hypot(shape.height, shape.lip) * scale + 1
        window = canvas.window(column, row + 0.35 * reach, reach, 0.7 * reach)
        if window is None:
            return
        down = window.down + np.float32(0.35 * reach)
        cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        across = window.right * cosine - down * sine
        along = window.right * sine + down * cosine
        part = np.clip(along / (shape.height * scale), 0, 1)
        half = self._half_width(part) * scale
        inside = np.clip(half - np.abs(across) + 0.5, 0, 1)
        inside *= np.clip(along + 0.5, 0, 1) * np.clip(shape.height * scale - along + 0.5, 0, 1)
        canvas.cover(window, self._surface(window, across / half, part, angle), inside)

    def _half_width(self, part: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
        """Profile from the crown (part 0) to the lip (1): shoulder, waist, flare."""
        shape = self._shape
        shoulder = np.sqrt(np.clip(part / 0.16, 0.02, 1))
        flare = np.clip((part - 0.45) / 0.55, 0, 1) ** 2
        body = shape.crown + (shape.waist - shape.crown) * np.minimum(1, part / 0.6)
        return shoulder * body + (shape.lip - shape.waist) * flare

    def _surface(
        self,
        window: Window,
        side: Float[np.ndarray, "y x"],
        part: Float[np.ndarray, "y x"],
        angle: float,
    ) -> Float[np.ndarray, "y x 3"]:
        """Polished metal: dark edges, a bright streak that stays on the side of the light."""
        side = np.clip(side, -1, 1)
        light = 0.22 + 0.6 * np.sqrt(1 - side**2) * (1 - 0.35 * side)
        streak = -0.42 + 0.35 * angle
        light = light + 0.75 * np.exp(-(((side - streak) / 0.13) ** 2))
        light += 0.2 * np.exp(-(((side - 0.7) / 0.1) ** 2))
        rings = np.exp(-(((part - 0.84) / 0.02) ** 2)) + np.exp(-(((part - 0.28) / 0.02) ** 2))
        light *= 1 - 0.45 * np.minimum(1, rings)
        light *= np.where(part > 0.94, 1.35, 1.0)
        glint = 0.25 * np.exp(-(((side - streak) / 0.06) ** 2))
        return (self._colour * light[..., None] + glint[..., None]).astype(np.float32)

    def _paint_clapper(
        self, canvas: Canvas, camera: Camera, time_seconds: float, angle: float
    ) -> None:
        """The clapper swings farther than the bell and touches the lip at each turn."""
        stage, shape, size = self._stage, self._shape, self._size
        since = (time_seconds - self._turns[0].time_seconds) / self._half_period
        widest_aside = math.atan2(shape.lip - 0.07, shape.height)
        own = angle + widest_aside * math.cos(math.pi * since)
        length = 1.02 * shape.height * size
        x = stage.x + length * math.sin(own)
        y = size * BEAM_HEIGHT - length * math.cos(own)
        column, row = camera.project(x, y, stage.z)
        radius = 0.085 * size * camera.scale(stage.z)
        self._bar(canvas, camera, (stage.x, size * BEAM_HEIGHT), (x, y), 0.02 * size)
        if window := canvas.window(column, row, radius + 1, radius + 1):
            lit = 1 - np.hypot(window.right / radius + 0.4, window.down / radius + 0.4) / 1.6
            canvas.cover(
                window, CLAPPER_COLOUR * (0.4 + 2.5 * lit[..., None]), disc(window, radius)
            )

    def _bar(
        self,
        canvas: Canvas,
        camera: Camera,
        start: tuple[float, float],
        end: tuple[float, float],
        half_width: float,
    ) -> None:
        z = self._stage.z
        first, last = camera.project(*start, z), camera.project(*end, z)
        thick = max(0.5, half_width * camera.scale(z))
        middle = ((first[0] + last[0]) / 2, (first[1] + last[1]) / 2)
        reach_x = abs(first[0] - last[0]) / 2 + thick + 1
        reach_y = abs(first[1] - last[1]) / 2 + thick + 1
        if window := canvas.window(*middle, reach_x, reach_y):
            opacity, light = rod(
                window,
                (first[0] - middle[0], first[1] - middle[1]),
                (last[0] - middle[0], last[1] - middle[1]),
                thick,
            )
            canvas.cover(window, BEAM_COLOUR * (0.5 + light[..., None]), opacity)


def perform_bell(rng: np.random.Generator, stage: Stage) -> Performance:
    """A bell by chance that swings once in one to two seconds."""
    colour, number = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(SHAPES), looks=stage.looks
    )
    shape = SHAPES[number]
    size = min(1.1, 0.5 * stage.width / (shape.lip + 0.2)) * float(rng.uniform(0.82, 1.0))
    half_period = float(rng.uniform(0.55, 1.0))
    widest = float(rng.uniform(0.5, 0.8))
    first = stage.enter_seconds + float(rng.uniform(0.3, 0.3 + half_period))
    count = max(1, math.ceil((stage.clip_seconds - 0.1 - first) / half_period))
    strength = 0.5 + 0.5 * (widest - 0.4) / 0.4
    turns = tuple(
        Happening(
            time_seconds=first + half_period * place,
            strength=strength * (1.0 if place % 2 == 0 else 0.85),
        )
        for place in range(count)
    )
    ringing = Ringing(
        rng,
        "bell",
        stage.rate_hz,
        size=size * shape.height / 0.62,
        longest_seconds=stage.clip_seconds,
    )
    return _BellScene(stage, (colour, number), size, turns, half_period, widest, ringing)
