"""Scene: a clock with a pendulum that ticks at each of its extremes, or with a jumping hand.

A pendulum rests for a moment where it turns: there it ticks. A second hand ticks as it jumps.
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, disc
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.modal import Ringing, ringing_envelope, struck
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import appearing, box, has_entered, part_in_view, rod

ClockShape = Literal["tall", "metronome", "wheel"]
SHAPES: tuple[ClockShape, ...] = ("tall", "metronome", "wheel")
COLOURS: tuple[Colour, ...] = (
    (0.33, 0.15, 0.06), (0.09, 0.05, 0.04), (0.10, 0.22, 0.17), (0.52, 0.35, 0.17),
)  # fmt: skip
BRASS = np.array([0.86, 0.62, 0.18], np.float32)
FACE = np.array([0.90, 0.88, 0.80], np.float32)
INK = np.array([0.03, 0.03, 0.04], np.float32)
RED = np.array([0.75, 0.05, 0.04], np.float32)
WIDEST_SWING = 0.42  # radians
JUMP_SECONDS = 0.05
STEPS_A_TURN = 12
ENVELOPE_SECONDS = 0.02
LOUD_TICK, SOFT_TICK = 0.9, 0.7  # "tick" and "tock"
HALF_WIDTHS: dict[ClockShape, float] = {"tall": 0.30, "metronome": 0.30, "wheel": 0.46}
HEIGHTS: dict[ClockShape, float] = {"tall": 1.45, "metronome": 0.75, "wheel": 1.25}


class _ClockScene(Performance):
    class_name = "clock"

    def __init__(
        self,
        stage: Stage,
        look: tuple[int, int],
        size: float,
        ticks: tuple[Happening, ...],
        beat_seconds: float,
        ringing: Ringing,
    ) -> None:
        self.look = look
        self._stage = stage
        self._shape: ClockShape = SHAPES[look[1]]
        self._colour = np.array(COLOURS[look[0]], np.float32)
        self._size = size
        self._ticks = ticks
        self._beat_seconds = beat_seconds
        self._ringing = ringing

    @property
    def happenings(self) -> tuple[Happening, ...]:
        return self._ticks

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        stage = self._stage
        if not has_entered(stage, time_seconds):
            return
        with appearing(canvas, stage, time_seconds):
            half = HALF_WIDTHS[self._shape] * self._size
            paint_shadow(canvas, camera, stage.x, 0.0, stage.z, 1.1 * half)
            match self._shape:
                case "tall":
                    self._paint_tall(canvas, camera, time_seconds)
                case "metronome":
                    self._paint_metronome(canvas, camera, time_seconds)
                case "wheel":
                    self._paint_wheel(canvas, camera, time_seconds)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        if not has_entered(self._stage, time_seconds):
            return 0.0
        x, half = self._stage.x, HALF_WIDTHS[self._shape] * self._size
        high = HEIGHTS[self._shape] * self._size
        return part_in_view(camera, x - half, x + half, 0.0, high, self._stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        return struck(self._ringing, self._ticks, self._stage.clip_seconds)

    def envelope(self) -> Float[np.ndarray, " n"]:
        return ringing_envelope(self._ticks, self._stage.clip_seconds, ENVELOPE_SECONDS)

    def swing(self, time_seconds: float) -> float:
        """Angle of the pendulum in radians, to the right; widest at each tick."""
        since = (time_seconds - self._ticks[0].time_seconds) / self._beat_seconds
        return WIDEST_SWING * math.cos(math.pi * since)

    def hand_angle(self, time_seconds: float) -> float:
        """Angle of the second hand, clockwise from the top: it jumps at each tick."""
        past = [tick for tick in self._ticks if tick.time_seconds <= time_seconds]
        steps = float(len(past))
        if past:
            done = min(1.0, (time_seconds - past[-1].time_seconds) / JUMP_SECONDS)
            steps -= 1 - done
        return 2 * math.pi * steps / STEPS_A_TURN

    def _paint_tall(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """A tall case with a dial at the top and the pendulum behind an open front."""
        self._box(canvas, camera, (0.0, 0.725), (0.30, 0.725), self._colour)
        self._box(canvas, camera, (0.0, 0.55), (0.25, 0.46), 0.22 * self._colour + 0.01)
        self._dial(canvas, camera, (0.0, 1.21), 0.20)
        self._bar(canvas, camera, (0.0, 1.21), (0.0, 1.35), 0.016, INK)
        self._bar(canvas, camera, (0.0, 1.21), (0.08, 1.16), 0.02, INK)
        angle = self.swing(time_seconds)
        end = (0.62 * math.sin(angle) * 0.6, 0.99 - 0.72 * math.cos(angle))
        self._bar(canvas, camera, (0.0, 0.99), end, 0.016, BRASS)
        self._knob(canvas, camera, end, 0.095, BRASS)

    def _paint_metronome(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """A tapered case; the arm stands upright on it, with a sliding weight."""
        stage, size = self._stage, self._size
        scale = camera.scale(stage.z)
        column, row = camera.project(stage.x, 0.375 * size, stage.z)
        half_height = 0.375 * size * scale
        if window := canvas.window(column, row, 0.3 * size * scale + 1, half_height + 1):
            part = np.clip(0.5 - 0.5 * window.down / half_height, 0, 1)
            half = (0.30 - 0.17 * part) * size * scale
            inside = np.clip(half - np.abs(window.right) + 0.5, 0, 1)
            inside *= np.clip(half_height - np.abs(window.down) + 0.5, 0, 1)
            light = 0.75 - 0.3 * window.right / half
            canvas.cover(window, self._colour * light[..., None], inside)
            panel = np.clip(0.62 * half - np.abs(window.right) + 0.5, 0, 1)
            panel *= np.clip(0.8 * half_height - np.abs(window.down) + 0.5, 0, 1)
            canvas.cover(window, FACE * (0.9 * light[..., None]), panel)
        angle = self.swing(time_seconds)
        top = (1.02 * math.sin(angle), 0.12 + 1.02 * math.cos(angle))
        weight = (0.66 * math.sin(angle), 0.12 + 0.66 * math.cos(angle))
        self._bar(canvas, camera, (0.0, 0.12), top, 0.018, 0.5 * FACE)
        self._knob(canvas, camera, weight, 0.085, BRASS)

    def _paint_wheel(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """A large round dial on a foot, with a red second hand that jumps."""
        middle = (0.0, 0.79)
        self._box(canvas, camera, (0.0, 0.18), (0.06, 0.18), self._colour)
        self._box(canvas, camera, (0.0, 0.03), (0.26, 0.03), self._colour)
        self._dial(canvas, camera, middle, 0.46)
        for step in range(STEPS_A_TURN):
            turn = 2 * math.pi * step / STEPS_A_TURN
            inner, outer = (0.31, 0.35) if step % 3 else (0.27, 0.36)
            self._bar(canvas, camera, _around(middle, turn, inner), _around(middle, turn, outer),
                      0.015, INK)  # fmt: skip
        angle = self.hand_angle(time_seconds)
        tail, tip = _around(middle, angle, -0.09), _around(middle, angle, 0.33)
        self._bar(canvas, camera, tail, tip, 0.026, RED)
        self._knob(canvas, camera, middle, 0.045, RED)

    def _dial(
        self, canvas: Canvas, camera: Camera, middle: tuple[float, float], radius: float
    ) -> None:
        column, row, scale = self._at(camera, middle)
        reach = radius * scale
        if window := canvas.window(column, row, reach + 1, reach + 1):
            light = 0.9 - 0.25 * (window.right + window.down) / reach
            canvas.cover(window, self._colour * (1.3 * light[..., None]), disc(window, reach))
            inner = disc(window, 0.86 * reach)
            canvas.cover(window, FACE * np.minimum(1.0, 0.25 + 0.7 * light)[..., None], inner)

    def _box(
        self,
        canvas: Canvas,
        camera: Camera,
        middle: tuple[float, float],
        half: tuple[float, float],
        colour: Float[np.ndarray, " 3"],
    ) -> None:
        column, row, scale = self._at(camera, middle)
        wide, high = half[0] * scale, half[1] * scale
        if window := canvas.window(column, row, wide + 1, high + 1):
            light = 0.85 - 0.35 * window.right / wide
            edge = np.exp(-((np.abs(np.abs(window.right) / wide - 0.93) / 0.05) ** 2))
            light = (light - 0.15 * edge).astype(np.float32)
            shape = box(window, wide, high, round_by=min(2.0, 0.3 * wide))
            canvas.cover(window, colour * light[..., None], shape)

    def _bar(
        self,
        canvas: Canvas,
        camera: Camera,
        start: tuple[float, float],
        end: tuple[float, float],
        half_width: float,
        colour: Float[np.ndarray, " 3"],
    ) -> None:
        first, last = self._at(camera, start), self._at(camera, end)
        thick = max(0.45, half_width * first[2])
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
            canvas.cover(window, colour * (0.45 + 0.75 * light[..., None]), opacity)

    def _knob(
        self,
        canvas: Canvas,
        camera: Camera,
        middle: tuple[float, float],
        radius: float,
        colour: Float[np.ndarray, " 3"],
    ) -> None:
        column, row, scale = self._at(camera, middle)
        reach = radius * scale
        if window := canvas.window(column, row, reach + 1, reach + 1):
            lit = 1 - np.hypot(window.right / reach + 0.4, window.down / reach + 0.4) / 1.6
            canvas.cover(window, colour * (0.3 + 1.2 * lit[..., None]), disc(window, reach))

    def _at(self, camera: Camera, point: tuple[float, float]) -> tuple[float, float, float]:
        """Column and row of a point given from the clock's foot, and pixels per unit of it."""
        stage, size = self._stage, self._size
        column, row = camera.project(stage.x + size * point[0], size * point[1], stage.z)
        return column, row, size * camera.scale(stage.z)


def _around(middle: tuple[float, float], turn: float, radius: float) -> tuple[float, float]:
    """The point at an angle, clockwise from above a middle."""
    return middle[0] + radius * math.sin(turn), middle[1] + radius * math.cos(turn)


def perform_clock(rng: np.random.Generator, stage: Stage) -> Performance:
    """A clock by chance with a beat between two fifths of a second and one."""
    colour, number = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(SHAPES), looks=stage.looks
    )
    shape = SHAPES[number]
    size = min(1.0, 0.5 * stage.width / HALF_WIDTHS[shape]) * float(rng.uniform(0.88, 1.0))
    beat = float(rng.uniform(0.4, 0.9))
    first = stage.enter_seconds + float(rng.uniform(0.15, 0.15 + beat))
    count = max(1, math.ceil((stage.clip_seconds - 0.03 - first) / beat))
    ticks = tuple(
        Happening(time_seconds=first + beat * place, strength=SOFT_TICK if place % 2 else LOUD_TICK)
        for place in range(count)
    )
    ringing = Ringing(rng, "tick", stage.rate_hz, longest_seconds=stage.clip_seconds)
    return _ClockScene(stage, (colour, number), size, ticks, beat, ringing)
