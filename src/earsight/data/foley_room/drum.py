"""Scene: a stick comes down on the skin of a drum; the higher the stroke, the louder.

Every stroke sounds at the moment the tip touches the skin; a larger drum sounds lower.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, soft_ellipse
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.modal import Ringing, ringing_envelope, struck
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import appearing, has_entered, part_in_view, rod

COLOURS: tuple[Colour, ...] = (
    (0.62, 0.05, 0.05), (0.05, 0.16, 0.52), (0.04, 0.34, 0.12), (0.58, 0.42, 0.06),
)  # fmt: skip
HIGHEST_STROKE = 0.75  # metres between tip and skin, of the loudest stroke
FALLING_SECONDS = 0.13
RESTING_HEIGHT = 0.14
SKIN_FLATNESS = 0.32  # height of the ellipse that the skin is seen as, over its width
SKIN_COLOUR = np.array([0.86, 0.80, 0.66], np.float32)
HOOP_COLOUR = np.array([0.66, 0.62, 0.52], np.float32)
STICK_COLOUR = np.array([0.72, 0.45, 0.18], np.float32)
STICK_LENGTH = 0.62
FLASH_SECONDS = 0.12
ENVELOPE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class DrumShape:
    """Half widths at the skin and at the foot, and height, in metres."""

    top: float
    foot: float
    height: float


SHAPES = (
    DrumShape(top=0.38, foot=0.38, height=0.34),
    DrumShape(top=0.27, foot=0.27, height=0.62),
    DrumShape(top=0.33, foot=0.17, height=0.60),
)


class _DrumScene(Performance):
    class_name = "drum"

    def __init__(
        self,
        stage: Stage,
        look: tuple[int, int],
        shape: DrumShape,
        strokes: tuple[Happening, ...],
        ringing: Ringing,
    ) -> None:
        self.look = look
        self._stage = stage
        self._shape = shape
        self._colour = np.array(COLOURS[look[0]], np.float32)
        self._strokes = strokes
        self._ringing = ringing

    @property
    def happenings(self) -> tuple[Happening, ...]:
        return self._strokes

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        stage = self._stage
        if not has_entered(stage, time_seconds):
            return
        with appearing(canvas, stage, time_seconds):
            paint_shadow(canvas, camera, stage.x, 0.0, stage.z, 1.1 * self._shape.foot)
            self._paint_shell(canvas, camera)
            self._paint_skin(canvas, camera, time_seconds)
            self._paint_stick(canvas, camera, time_seconds)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        if not has_entered(self._stage, time_seconds):
            return 0.0
        x, shape = self._stage.x, self._shape
        return part_in_view(camera, x - shape.top, x + shape.top, 0.0, shape.height, self._stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        return struck(self._ringing, self._strokes, self._stage.clip_seconds)

    def envelope(self) -> Float[np.ndarray, " n"]:
        return ringing_envelope(self._strokes, self._stage.clip_seconds, ENVELOPE_SECONDS)

    def tip_height(self, time_seconds: float) -> float:
        """Height of the stick's tip above the skin: 0 at every stroke, lifted before it."""
        last = max((s.time_seconds for s in self._strokes if s.time_seconds <= time_seconds),
                   default=-math.inf)  # fmt: skip
        following = next((s for s in self._strokes if s.time_seconds > time_seconds), None)
        since = time_seconds - last
        bounce = RESTING_HEIGHT * min(1.0, since / 0.06)
        if following is None:
            return bounce
        until = following.time_seconds - time_seconds
        top = max(RESTING_HEIGHT, HIGHEST_STROKE * following.strength)
        lifting = min(0.35, 0.6 * (following.time_seconds - last))
        if until < FALLING_SECONDS * 0.6:
            return top * (1 - (1 - until / (FALLING_SECONDS * 0.6)) ** 2)
        raised = min(1.0, max(0.0, 1 - (until - FALLING_SECONDS) / lifting))
        return bounce + (top - bounce) * math.sin(raised * math.pi / 2) ** 2

    def _paint_shell(self, canvas: Canvas, camera: Camera) -> None:
        stage, shape = self._stage, self._shape
        scale = camera.scale(stage.z)
        column, foot_row = camera.project(stage.x, 0.0, stage.z)
        height = shape.height * scale
        dip = SKIN_FLATNESS * shape.foot * scale
        widest = max(shape.top, shape.foot) * scale + 1
        window = canvas.window(column, foot_row - height / 2, widest, height / 2 + dip + 1)
        if window is None:
            return
        part = np.clip(0.5 - window.down / height, 0, 1)  # 0 at the foot, 1 at the skin
        half = (shape.foot + (shape.top - shape.foot) * part) * scale
        across = np.clip(window.right / half, -1, 1)
        # the foot is round: it reaches lower in the middle
        lower = height / 2 + dip * np.sqrt(1 - across**2) * 0.6
        inside = np.clip(half - np.abs(window.right) + 0.5, 0, 1)
        inside *= np.clip(lower - window.down + 0.5, 0, 1)
        near = np.sqrt(1 - across**2)
        light = 0.25 + 0.75 * np.clip(0.75 * near - 0.45 * across, 0, 1)
        light += 0.5 * np.exp(-(((across + 0.45) / 0.12) ** 2))
        stripes = (np.abs(part - 0.07) < 0.05) | (np.abs(part - 0.93) < 0.06)
        base = np.where(stripes[..., None], HOOP_COLOUR, self._colour)
        canvas.cover(window, (base * light[..., None]).astype(np.float32), inside)

    def _paint_skin(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        stage, shape = self._stage, self._shape
        scale = camera.scale(stage.z)
        column, row = camera.project(stage.x, shape.height, stage.z)
        radius = shape.top * scale
        window = canvas.window(column, row, radius + 2, SKIN_FLATNESS * radius + 2)
        if window is None:
            return
        flat = SKIN_FLATNESS * radius
        canvas.cover(window, HOOP_COLOUR, soft_ellipse(window, radius, flat, softness=1.5 / radius))
        hit = self._flash(time_seconds)
        ripple = np.hypot(window.right / radius, window.down / flat)
        light = 0.82 - 0.15 * window.right / radius
        light = light + 0.3 * hit * np.cos(9 * ripple) + 0.25 * hit
        inner = soft_ellipse(window, 0.93 * radius, 0.9 * flat, softness=1.5 / radius)
        canvas.cover(window, SKIN_COLOUR * light[..., None], inner)

    def _paint_stick(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        stage, shape = self._stage, self._shape
        height = self.tip_height(time_seconds)
        tip = camera.project(stage.x - 0.1 * shape.top, shape.height + height, stage.z)
        # the hand moves less than the tip: the stick turns as it falls
        hand = camera.project(
            stage.x - 0.1 * shape.top + STICK_LENGTH,
            shape.height + 0.18 + 0.45 * height,
            stage.z,
        )
        self._paint_tip_shadow(canvas, camera, height)
        thick = 0.024 * camera.scale(stage.z)
        middle = ((tip[0] + hand[0]) / 2, (tip[1] + hand[1]) / 2)
        reach = (abs(tip[0] - hand[0]) / 2 + 3 * thick, abs(tip[1] - hand[1]) / 2 + 3 * thick)
        if window := canvas.window(*middle, *reach):
            start = (tip[0] - middle[0], tip[1] - middle[1] - thick)
            end = (hand[0] - middle[0], hand[1] - middle[1] - thick)
            opacity, light = rod(window, start, end, thick)
            canvas.cover(window, STICK_COLOUR * (0.4 + 0.8 * light[..., None]), opacity)
            opacity, light = rod(window, start, start, 1.8 * thick)
            canvas.cover(window, STICK_COLOUR * (0.5 + 0.9 * light[..., None]), opacity)

    def _paint_tip_shadow(self, canvas: Canvas, camera: Camera, height: float) -> None:
        stage, shape = self._stage, self._shape
        column, row = camera.project(stage.x - 0.1 * shape.top, shape.height, stage.z)
        reach = 0.09 * camera.scale(stage.z) * (1 + height)
        if window := canvas.window(column, row, 2 * reach, reach):
            shape_of_it = soft_ellipse(window, reach, SKIN_FLATNESS * reach, softness=0.9)
            canvas.shade(window, 0.5 * math.exp(-3 * height) * shape_of_it)

    def _flash(self, time_seconds: float) -> float:
        return math.fsum(
            stroke.strength * math.exp(-(time_seconds - stroke.time_seconds) / FLASH_SECONDS)
            for stroke in self._strokes
            if stroke.time_seconds <= time_seconds < stroke.time_seconds + 5 * FLASH_SECONDS
        )


def perform_drum(rng: np.random.Generator, stage: Stage) -> Performance:
    """A drum by chance, struck in an uneven rhythm with accents."""
    colour, number = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(SHAPES), looks=stage.looks
    )
    shape = SHAPES[number]
    size = min(1.15, stage.width / 1.1) * float(rng.uniform(0.85, 1.0))
    shape = DrumShape(top=size * shape.top, foot=size * shape.foot, height=size * shape.height)
    strokes: list[Happening] = []
    beat = float(rng.uniform(0.28, 0.5))
    time = stage.enter_seconds + float(rng.uniform(0.4, 0.8))
    while time < stage.clip_seconds - 0.05:
        strength = float(rng.choice([0.3, 0.55, 1.0]) * rng.uniform(0.85, 1.0))
        strokes.append(Happening(time_seconds=time, strength=strength))
        time += beat * float(rng.choice([1.0, 2.0, 3.0], p=[0.5, 0.35, 0.15]))
    ringing = Ringing(
        rng, "membrane", stage.rate_hz, size=shape.top / 0.33, longest_seconds=stage.clip_seconds
    )
    return _DrumScene(stage, (colour, number), shape, tuple(strokes), ringing)
