"""Scene: a small cloud in the room, and rain that falls from it, now thin, now dense.

Every streak is a drop, and every drop that reaches the floor is a grain of the sound: the noise is
as dense as the streaks that land.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import Canvas, soft_ellipse
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.noises import (
    ENVELOPE_HZ,
    at_rate,
    band_noise,
    between_knots,
    envelope_times,
    grain_kernels,
    grains,
    scattered_times,
    with_soft_edges,
)
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import (
    along_lines,
    appearing,
    has_entered,
    part_in_view,
    points,
    projected,
    whole_window,
)

COLOURS: tuple[Colour, ...] = (
    (0.55, 0.57, 0.62), (0.16, 0.18, 0.24), (0.80, 0.80, 0.82), (0.34, 0.28, 0.42),
)  # fmt: skip
CLOUDS: tuple[tuple[tuple[float, float, float, float], ...], ...] = (
    ((-0.24, 0.0, 0.2, 0.14), (0.02, 0.06, 0.24, 0.19), (0.27, 0.0, 0.19, 0.13)),  # heaps
    ((0.0, 0.02, 0.5, 0.09), (-0.12, 0.06, 0.26, 0.08)),  # sheet
    ((-0.3, 0.0, 0.16, 0.16), (0.0, 0.02, 0.18, 0.18), (0.3, 0.0, 0.16, 0.16)),  # beads
)
"""Lobes of a cloud: middle right and up, half sizes; widths in parts of the rain's."""
MOST_DROPS = 260.0  # that set out in a second at density 1
CLOUD_HEIGHT, FALL_FROM = 1.72, 1.62
FALL_SPEED = 4.6
FALL_SECONDS = FALL_FROM / FALL_SPEED
BEFORE_SECONDS = 0.5  # longer than a fall and a splash
STREAK_SECONDS = 0.045  # a streak is as long as a drop falls in this time
SPLASH_SECONDS = 0.11
DEPTH = 0.7  # metres before and behind the cloud
DROP_COLOUR = np.array([0.80, 0.88, 1.0], np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drops:
    """When drops set out (in order), where they land (as parts of the view), and how big."""

    start_seconds: Float[np.ndarray, " g"]
    aside: Float[np.ndarray, " g"]
    z: Float[np.ndarray, " g"]
    size: Float[np.ndarray, " g"]

    def between(self, first: float, last: float) -> slice:
        """Drops that set out after one time and up to another."""
        start, end = np.searchsorted(self.start_seconds, [first, last], side="right")
        return slice(int(start), int(end))


class Rain(Performance):
    """Rain below a cloud, from its entry on."""

    class_name = "rain"

    def __init__(
        self,
        stage: Stage,
        look: tuple[int, int],
        density: Float[np.ndarray, " n"],
        drops: Drops,
        wind: float,
        sound_seed: int,
    ) -> None:
        self.stage = stage
        self.look = look
        self.density = density
        self.drops = drops
        self._wind = wind
        self._sound_seed = sound_seed
        self._width = 0.86 * stage.width

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """None: it sounds steadily."""
        return ()

    def num_streaks(self, time_seconds: float) -> int:
        """How many drops are falling."""
        falling = self.drops.between(time_seconds - FALL_SECONDS, time_seconds)
        return falling.stop - falling.start

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay the wet floor, the streaks, the splashes and the cloud over the picture."""
        if not has_entered(self.stage, time_seconds):
            return
        with appearing(canvas, self.stage, time_seconds):
            self._paint_wet_floor(canvas, camera)
            falling = self._streaks(camera, time_seconds)
            splashing = self._splashes(camera, time_seconds)
            columns, rows, weights = (
                np.concatenate(pair) for pair in zip(falling, splashing, strict=True)
            )
            if len(columns):
                opacity = np.minimum(points(canvas, columns, rows, weights), 0.9)
                canvas.cover(whole_window(canvas), DROP_COLOUR, opacity)
            self._paint_cloud(canvas, camera)

    def _streaks(
        self, camera: Camera, time_seconds: float
    ) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
        """Points of all falling drops: columns, rows, weights."""
        which = self.drops.between(time_seconds - FALL_SECONDS, time_seconds)
        if which.stop == which.start:
            return np.empty(0), np.empty(0), np.empty(0)
        low = FALL_FROM - FALL_SPEED * (time_seconds - self.drops.start_seconds[which])
        high = np.minimum(low + FALL_SPEED * STREAK_SECONDS, FALL_FROM)
        y = np.stack([low, high], 1)
        z = np.stack([self.drops.z[which]] * 2, 1)
        x = self.drops.aside[which][:, None] * z + self._wind * y
        columns, rows, lengths = along_lines(projected(camera, x, y, z), 0.8)
        size = np.repeat(self.drops.size[which], len(lengths) // len(low))
        return columns, rows, lengths * (0.3 + 0.4 * size)

    def _splashes(
        self, camera: Camera, time_seconds: float
    ) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
        """Points thrown up where drops have just landed: columns, rows, weights."""
        last = time_seconds - FALL_SECONDS
        which = self.drops.between(last - SPLASH_SECONDS, last)
        age = (last - self.drops.start_seconds[which]) / SPLASH_SECONDS
        z = np.stack([self.drops.z[which]] * 3, 1)
        away = age[:, None] * np.array([-0.07, 0.0, 0.07])
        y = (age * (1 - age))[:, None] * np.array([0.16, 0.3, 0.16])
        places = projected(camera, self.drops.aside[which][:, None] * z + away, y, z)
        weights = np.repeat((1 - age) * (0.4 + 0.5 * self.drops.size[which]), 3)
        return places[..., 0].ravel(), places[..., 1].ravel(), weights

    def _paint_wet_floor(self, canvas: Canvas, camera: Camera) -> None:
        stage = self.stage
        column, row = camera.project(stage.x, 0.0, stage.z)
        wide = 0.55 * self._width * camera.scale(stage.z)
        high = 0.3 * camera.scale(stage.z)
        if window := canvas.window(column, row, 1.3 * wide, 1.3 * high):
            wet = soft_ellipse(window, wide, high, softness=0.3)
            canvas.shade(window, 0.35 * wet)
            canvas.glow(window, DROP_COLOUR, 0.035 * wet)

    def _paint_cloud(self, canvas: Canvas, camera: Camera) -> None:
        stage, scale = self.stage, camera.scale(self.stage.z)
        colour = np.array(COLOURS[self.look[0]], np.float32)
        for aside, up, half_width, half_height in CLOUDS[self.look[1]]:
            column, row = camera.project(stage.x + aside * self._width, CLOUD_HEIGHT + up, stage.z)
            wide, high = half_width * self._width * scale, half_height * scale
            if window := canvas.window(column, row, 1.3 * wide, 1.3 * high):
                light = 0.85 - 0.4 * window.down / high - 0.1 * window.right / wide
                shape = soft_ellipse(window, wide, high, softness=0.25)
                canvas.cover(window, colour * light[..., None], shape)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the space between cloud and floor inside the picture."""
        if not has_entered(self.stage, time_seconds):
            return 0.0
        x, half = self.stage.x, self._width / 2
        return part_in_view(camera, x - half, x + half, 0.0, FALL_FROM, self.stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        """A grain for every drop that lands, and the hiss of those too fine to be seen."""
        rng = np.random.default_rng(self._sound_seed)
        rate = self.stage.rate_hz
        num_samples = round(self.stage.clip_seconds * rate)
        kernels = np.concatenate(
            [
                grain_kernels(rng, 3, low, 9000.0, decay, rate)[:, : round(0.009 * rate)]
                for low, decay in ((1500.0, 0.0016), (2500.0, 0.0022), (4000.0, 0.003))
            ]
        )
        landed = self.drops.start_seconds + FALL_SECONDS
        rain = grains(landed, 0.3 + 0.7 * self.drops.size**2, kernels, num_samples, rate)
        hiss = band_noise(rng, num_samples, 2000.0, 9000.0, rate)
        level = at_rate(self.envelope(), num_samples, rate)
        total = rain + 0.15 * level * hiss
        total *= 0.7 * level.max() / max(1e-9, float(np.abs(total).max()))
        return with_soft_edges(total, self.stage.enter_seconds, rate)

    def envelope(self) -> Float[np.ndarray, " n"]:
        """By how many drops land, 1 at the most; powers add, so that it is their root."""
        late = np.interp(
            envelope_times(self.stage.clip_seconds) - FALL_SECONDS,
            np.arange(len(self.density)) / ENVELOPE_HZ - BEFORE_SECONDS,
            self.density,
        )
        return np.sqrt(late)


def perform_rain(rng: np.random.Generator, stage: Stage) -> Rain:
    """A cloud by chance, over rain that grows denser and thinner every second or two."""
    look = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(CLOUDS), looks=stage.looks
    )
    # what falls when the clip begins set out before
    times = envelope_times(stage.clip_seconds + BEFORE_SECONDS) - BEFORE_SECONDS
    start = stage.enter_seconds if stage.enter_seconds > 0 else -BEFORE_SECONDS
    knots = [start]
    while knots[-1] < stage.clip_seconds:
        knots.append(knots[-1] + float(rng.uniform(0.8, 2.0)))
    heights = rng.uniform(0.03, 1.0, len(knots)) ** 1.3
    # one shower at least
    heights[int(rng.integers(1, len(knots)))] = 1.0
    density = between_knots(times, np.array(knots), heights)
    density = np.where(times < start, 0.0, density)
    starts = scattered_times(rng, MOST_DROPS * density) - BEFORE_SECONDS
    half = 0.43 * stage.width / stage.z
    drops = Drops(
        start_seconds=starts,
        aside=stage.x / stage.z + rng.uniform(-half, half, len(starts)),
        z=stage.z + rng.uniform(-DEPTH, DEPTH, len(starts)),
        size=rng.uniform(0, 1, len(starts)),
    )
    wind = float(rng.uniform(-0.08, 0.08))
    return Rain(stage, look, density, drops, wind, int(rng.integers(2**31)))
