"""Scene: water that swells and sinks in a basin; the higher it stands, the louder and brighter.

The noise of a low band follows the height, that of a high band only the crests.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, Window, value_noise
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.noises import (
    ENVELOPE_HZ,
    at_rate,
    band_noise,
    between_knots,
    envelope_times,
    with_soft_edges,
)
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import appearing, box, has_entered, part_in_view

COLOURS: tuple[Colour, ...] = (
    (0.03, 0.17, 0.42), (0.02, 0.30, 0.30), (0.08, 0.24, 0.07), (0.22, 0.10, 0.34),
)  # fmt: skip
LOWEST, HIGHEST = 0.16, 1.1  # metres that the water stands, at height 0 and 1
RIM = 1.28
FOAM = np.array([0.88, 0.92, 0.94], np.float32)
TILT = 0.10  # metres that the surface leans at its fastest


@dataclass(frozen=True, kw_only=True, slots=True)
class Basin:
    """Colour of the walls, their thickness in metres, and how much of them lets light through."""

    colour: Colour
    thick: float
    clear: float


BASINS = (
    Basin(colour=(0.70, 0.80, 0.82), thick=0.025, clear=0.35),  # glass
    Basin(colour=(0.34, 0.18, 0.08), thick=0.09, clear=0.0),  # boards
    Basin(colour=(0.40, 0.39, 0.37), thick=0.14, clear=0.0),  # stone
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ripples:
    """Small waves that run along the surface, the shape of each a sine."""

    metres: Float[np.ndarray, " r"]
    a_metre: Float[np.ndarray, " r"]
    a_second: Float[np.ndarray, " r"]

    def height(self, x: Float[np.ndarray, " x"], time_seconds: float) -> Float[np.ndarray, " x"]:
        """Metres above the level, along x."""
        turns = np.multiply.outer(self.a_metre, x) - (self.a_second * time_seconds)[:, None]
        return (self.metres[:, None] * np.sin(2 * np.pi * turns)).sum(0)


class Waves(Performance):
    """Water in a basin, from its entry on."""

    class_name = "waves"

    def __init__(
        self,
        stage: Stage,
        look: tuple[int, int],
        heights: Float[np.ndarray, " n"],
        ripples: Ripples,
        sound_seed: int,
    ) -> None:
        self.stage = stage
        self.look = look
        self.heights = heights
        self._leans = np.gradient(heights) * ENVELOPE_HZ
        self._ripples = ripples
        self._sound_seed = sound_seed
        self._half = 0.45 * stage.width
        self._noise = np.random.default_rng(sound_seed).random((16, 16))

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """None: it sounds steadily."""
        return ()

    def height(self, time_seconds: float) -> float:
        """How high the water stands, 0 to 1."""
        return float(_at(self.heights, time_seconds))

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay basin and water over the picture."""
        stage = self.stage
        if not has_entered(stage, time_seconds):
            return
        scale = camera.scale(stage.z)
        with appearing(canvas, stage, time_seconds):
            paint_shadow(canvas, camera, stage.x, 0.0, stage.z, 0.9 * self._half)
            column, row = camera.project(stage.x, RIM / 2, stage.z)
            half = self._half * scale, RIM / 2 * scale
            window = canvas.window(column, row, half[0] + 1, half[1] + 1)
            if window is None:
                return
            inside = box(window, *half, round_by=0.04 * scale)
            self._paint_water(canvas, window, scale, inside, time_seconds)
            basin = BASINS[self.look[1]]
            thick = basin.thick * scale
            hollow = (np.abs(window.right) < half[0] - thick) & (window.down < half[1] - thick)
            light = 1.0 - 0.3 * window.down / half[1] - 0.2 * window.right / half[0]
            wall = np.array(basin.colour, np.float32) * light[..., None]
            opacity = np.where(hollow, 0.10 * basin.clear, 1 - basin.clear)
            canvas.cover(window, wall, opacity * inside)

    def _paint_water(
        self,
        canvas: Canvas,
        window: Window,
        scale: float,
        inside: Float[np.ndarray, "y x"],
        time_seconds: float,
    ) -> None:
        height = self.height(time_seconds)
        x = window.right[0] / scale
        surface = LOWEST + (HIGHEST - LOWEST) * height
        surface = surface + (0.35 + 0.65 * height) * self._ripples.height(x, time_seconds)
        surface = surface + TILT * 0.5 * float(_at(self._leans, time_seconds)) * x / self._half
        depth = surface + window.down / scale - RIM / 2  # metres below the surface
        opacity = np.clip(depth * scale + 0.5, 0, 1) * inside
        colour = np.array(COLOURS[self.look[0]], np.float32)
        along = np.broadcast_to(4 * x + 0.7 * time_seconds, depth.shape)
        glitter = value_noise(along, 14 * depth - 0.9 * time_seconds, self._noise)
        light = 0.75 + 0.9 * np.exp(-depth / 0.22) + 0.5 * (glitter - 0.5)
        thick = 0.03 + 0.11 * height
        foam = np.exp(-((np.maximum(depth, 0) / thick) ** 2)) * (0.35 + 0.65 * height)
        foam = foam * (0.55 + 0.6 * glitter)
        paint = colour * light[..., None]
        paint += (FOAM - paint) * np.minimum(foam, 1)[..., None]
        canvas.cover(window, paint, 0.93 * opacity)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the basin inside the picture."""
        if not has_entered(self.stage, time_seconds):
            return 0.0
        x = self.stage.x
        return part_in_view(camera, x - self._half, x + self._half, 0.0, RIM, self.stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        """Surf: a low band that follows the height, and a high one at the crests."""
        rng = np.random.default_rng(self._sound_seed)
        rate = self.stage.rate_hz
        num_samples = round(self.stage.clip_seconds * rate)
        level = at_rate(self.envelope(), num_samples, rate)
        low = band_noise(rng, num_samples, 120.0, 700.0, rate, octave_db=-2.0)
        high = band_noise(rng, num_samples, 700.0, 3500.0, rate, octave_db=-3.0)
        total = level * (low + 0.9 * level**1.5 * high)
        total *= 0.7 * level.max() / max(1e-9, float(np.abs(total).max()))
        return with_soft_edges(total, self.stage.enter_seconds, rate)

    def envelope(self) -> Float[np.ndarray, " n"]:
        """Level by height; quiet water is not silent."""
        level = 0.04 + 0.96 * self.heights**1.5
        time = envelope_times(self.stage.clip_seconds)
        return np.where(time < self.stage.enter_seconds, 0.0, level)


def _at(track: Float[np.ndarray, " n"], time_seconds: float) -> float:
    return float(np.interp(time_seconds * ENVELOPE_HZ, np.arange(len(track)), track))


def perform_waves(rng: np.random.Generator, stage: Stage) -> Waves:
    """A basin by chance, whose water rises fast and sinks slowly, to a new height every time."""
    look = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(BASINS), looks=stage.looks
    )
    knots = [stage.enter_seconds - float(rng.uniform(0, 1)) * (stage.enter_seconds <= 0)]
    heights = [float(rng.uniform(0.0, 0.15))]
    while knots[-1] < stage.clip_seconds:
        crest = knots[-1] + float(rng.uniform(0.6, 1.2))
        knots += [crest, crest + float(rng.uniform(0.9, 1.9))]
        heights += [float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.0, 0.2))]
    track = between_knots(envelope_times(stage.clip_seconds), np.array(knots), np.array(heights))
    ripples = Ripples(
        metres=rng.uniform(0.012, 0.04, 3),
        a_metre=rng.uniform(0.5, 2.2, 3) * rng.choice([-1.0, 1.0], 3),
        a_second=rng.uniform(0.5, 1.6, 3),
    )
    return Waves(stage, look, track, ripples, int(rng.integers(2**31)))
