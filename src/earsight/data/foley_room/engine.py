"""Scene: an engine whose flywheel turns faster and slower, with a rod, a chimney and its puffs.

It fires a fixed number of times a turn, so that the rate of the pulses follows the wheel. The
wheel has one mark and never turns so fast that frames could mistake its direction.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, soft_ellipse
from earsight.data.foley_room.flywheel import WHEELS, paint_wheel
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.noises import (
    at_rate,
    band_noise,
    between_knots,
    envelope_times,
    grain_kernels,
    grains,
    with_soft_edges,
)
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import appearing, box, has_entered, part_in_view, rod
from earsight.data.foley_room.tones import falling_thump, oscillator

COLOURS: tuple[Colour, ...] = (
    (0.06, 0.30, 0.10), (0.45, 0.05, 0.04), (0.05, 0.14, 0.42), (0.12, 0.12, 0.13),
    (0.62, 0.38, 0.05),
)  # fmt: skip
PULSES_A_TURN = 12
WHIRR_A_TURN = 60  # teeth that hum
FASTEST, SLOWEST = 2.7, 0.5  # turns a second
RADIUS, HUB = 0.44, 0.66  # of the wheel, and its height, in metres
WHEEL_X = -0.17
CRANK, ROD = 0.2, 0.62
CHIMNEY_X, CHIMNEY_TOP = 0.49, 1.28
HALF_WIDTH = 0.65
PUFF_SECONDS = 1.1
FIRING = (1.0, 0.72, 0.86, 0.6)  # strengths of pulses in turn
STEEL = np.array([0.42, 0.44, 0.47], np.float32)
SMOKE = np.array([0.62, 0.61, 0.60], np.float32)


@dataclass(frozen=True, slots=True)
class Running:
    """How an engine runs: turns a second and turns so far, a hundred times a second."""

    turns_a_second: Float[np.ndarray, " n"]
    turns: Float[np.ndarray, " n"]

    def at(self, time_seconds: float) -> float:
        """Turns so far."""
        return float(np.interp(100 * time_seconds, np.arange(len(self.turns)), self.turns))

    def times(self, every_turns: float) -> Float[np.ndarray, " p"]:
        """When each such part of a turn is completed."""
        first, last = (int(self.turns[end] / every_turns) for end in (0, -1))
        marks = np.arange(first + 1, last + 1, dtype=np.float64)
        rising = np.maximum.accumulate(self.turns + np.arange(len(self.turns)) * 1e-9)
        return np.interp(marks * every_turns, rising, np.arange(len(self.turns)) / 100)


class Engine(Performance):
    """An engine that runs, at changing speed, from its entry on."""

    class_name = "engine"

    def __init__(
        self, stage: Stage, look: tuple[int, int], running: Running, sound_seed: int
    ) -> None:
        self.stage = stage
        self.look = look
        self.running = running
        self._sound_seed = sound_seed
        self._size = min(1.2, 0.76 * stage.width)
        self._puffs = running.times(1.0)

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """None: it sounds steadily."""
        return ()

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay the engine and its smoke over the picture."""
        stage = self.stage
        if not has_entered(stage, time_seconds):
            return
        angle = 2 * np.pi * self.running.at(time_seconds)
        with appearing(canvas, stage, time_seconds):
            paint_shadow(canvas, camera, stage.x, 0.0, stage.z, 0.6 * self._size)
            colour = np.array(COLOURS[self.look[0]], np.float32)
            self._paint_box(canvas, camera, (0.0, 0.1), (HALF_WIDTH, 0.1), 0.7 * colour)
            self._paint_box(canvas, camera, (WHEEL_X, 0.4), (0.1, 0.3), 0.45 * colour)
            self._paint_box(canvas, camera, (CHIMNEY_X, 0.94), (0.055, 0.34), 0.25 * STEEL)
            middle = stage.x + WHEEL_X * self._size, HUB * self._size, stage.z
            paint_wheel(
                canvas, camera, WHEELS[self.look[1]], middle, RADIUS * self._size, colour, angle
            )
            self._paint_rod(canvas, camera, angle)
            self._paint_box(canvas, camera, (0.45, 0.36), (0.12, 0.2), 0.5 * colour)
            self._paint_box(canvas, camera, (0.45, HUB), (0.2, 0.17), colour)
            for begun in self._puffs:
                if 0 <= time_seconds - begun < PUFF_SECONDS:
                    self._paint_puff(canvas, camera, float(time_seconds - begun))

    def _paint_box(
        self,
        canvas: Canvas,
        camera: Camera,
        middle: tuple[float, float],
        half: tuple[float, float],
        colour: Float[np.ndarray, " 3"],
    ) -> None:
        size, scale = self._size, self._size * camera.scale(self.stage.z)
        column, row = camera.project(
            self.stage.x + size * middle[0], size * middle[1], self.stage.z
        )
        wide, high = half[0] * scale, half[1] * scale
        if window := canvas.window(column, row, wide + 1, high + 1):
            light = 1.05 - 0.45 * (window.down / high) - 0.25 * (window.right / wide)
            canvas.cover(
                window, colour * light[..., None], box(window, wide, high, round_by=0.02 * scale)
            )

    def _paint_rod(self, canvas: Canvas, camera: Camera, angle: float) -> None:
        """The rod between the wheel's crank and the cylinder, which pushes it to and fro."""
        # opposite the wheel's mark
        pin = (WHEEL_X - CRANK * float(np.cos(angle)), HUB + CRANK * float(np.sin(angle)))
        head = pin[0] + float(np.sqrt(ROD**2 - (pin[1] - HUB) ** 2))
        scale, size = camera.scale(self.stage.z), self._size
        column, row = camera.project(self.stage.x, size * HUB, self.stage.z)
        thick = 0.035 * size * scale
        window = canvas.window(column, row, 0.8 * size * scale, 0.3 * size * scale)
        if window is None:
            return
        ends = (
            (pin[0] * size * scale, (HUB - pin[1]) * size * scale),
            (head * size * scale, 0.0),
        )
        opacity, light = rod(window, *ends, thick)
        knob, _ = rod(window, ends[0], ends[0], 1.9 * thick)
        canvas.cover(window, STEEL * (0.4 + 0.9 * light[..., None]), np.maximum(opacity, knob))

    def _paint_puff(self, canvas: Canvas, camera: Camera, since: float) -> None:
        age = since / PUFF_SECONDS
        size, z = self._size, self.stage.z
        x = size * (CHIMNEY_X + 0.12 * age**2)
        column, row = camera.project(self.stage.x + x, size * (CHIMNEY_TOP + 0.55 * age), z)
        radius = size * (0.06 + 0.14 * age) * camera.scale(z)
        if window := canvas.window(column, row, 1.5 * radius, 1.5 * radius):
            shape = soft_ellipse(window, radius, radius, softness=0.6)
            canvas.cover(window, SMOKE, 0.75 * (1 - age) * shape)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the engine, without its smoke, inside the picture."""
        if not has_entered(self.stage, time_seconds):
            return 0.0
        x, wide, high = self.stage.x, HALF_WIDTH * self._size, CHIMNEY_TOP * self._size
        return part_in_view(camera, x - wide, x + wide, 0.0, high, self.stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        """Pulses, louder at speed, over a whirr that follows the wheel."""
        rng = np.random.default_rng(self._sound_seed)
        rate = self.stage.rate_hz
        num_samples = round(self.stage.clip_seconds * rate)
        times = self.running.times(1 / PULSES_A_TURN)
        loud = np.interp(times, envelope_times(self.stage.clip_seconds), self.envelope())
        strengths = loud * np.resize(FIRING, len(times))
        thump = 0.6 * falling_thump(130.0, 70.0, 0.014, rate)
        bang = grain_kernels(rng, 4, 150.0, 1800.0, 0.011, rate)
        bang[:, : len(thump)] += thump[: bang.shape[1]]
        pulses = grains(times, strengths, bang, num_samples, rate)
        level = at_rate(self.envelope(), num_samples, rate)
        turning = at_rate(self.running.turns_a_second, num_samples, rate)
        whirr = oscillator(WHIRR_A_TURN * turning, 1 / np.arange(1.0, 9.0), rate)
        hiss = band_noise(rng, num_samples, 600.0, 2500.0, rate, octave_db=-4.0)
        total = 0.5 * pulses + level * (0.07 * whirr + 0.012 * hiss)
        total *= 0.7 * level.max() / max(1e-9, float(np.abs(total).max()))
        return with_soft_edges(total, self.stage.enter_seconds, rate)

    def envelope(self) -> Float[np.ndarray, " n"]:
        """Nothing at rest, all at the highest speed."""
        return np.minimum(1, self.running.turns_a_second / FASTEST) ** 0.7


def perform_engine(rng: np.random.Generator, stage: Stage) -> Engine:
    """An engine by chance; every second or two it takes another speed, sometimes from rest."""
    look = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(WHEELS), looks=stage.looks
    )
    times = envelope_times(stage.clip_seconds)
    knots = [stage.enter_seconds]
    while knots[-1] < stage.clip_seconds:
        knots.append(knots[-1] + float(rng.uniform(0.9, 2.0)))
    speeds = rng.uniform(SLOWEST, FASTEST, len(knots))
    if stage.enter_seconds > 0 or rng.random() < 0.5:
        speeds[0] = 0.0
    turning = between_knots(times, np.array(knots), speeds)
    turning = np.where(times < stage.enter_seconds, 0.0, turning)
    turns = float(rng.uniform(0, 1)) + np.concatenate([[0.0], np.cumsum(turning[:-1]) / 100])
    return Engine(stage, look, Running(turning, turns), int(rng.integers(2**31)))
