"""Scene: a window with the night outside, where sparks rise and burst.

The nearer a burst, the larger and louder it is. Sound needs its time: thump and crackle come later
than the light, by the distance over the speed of sound.
"""

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.bursts import (
    KINDS,
    NUM_SPARKS,
    RISE_SECONDS,
    Burst,
    choose_burst,
    flying_sparks,
)
from earsight.data.foley_room.canvas import Canvas, Window
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.noises import (
    decaying_envelope,
    grain_kernels,
    grains,
    with_soft_edges,
)
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import WALL_Z, Camera, Colour
from earsight.data.foley_room.shapes import (
    appearing,
    box,
    has_entered,
    part_in_view,
    points,
)
from earsight.data.foley_room.tones import falling_thump

COLOURS: tuple[Colour, ...] = (
    (1.0, 0.22, 0.10), (1.0, 0.70, 0.20), (0.25, 1.0, 0.30), (0.30, 0.55, 1.0), (0.95, 0.30, 0.90),
)  # fmt: skip
CRACKLE_AFTER, CRACKLE_SECONDS = 0.12, 0.9
CRACKS = 110
BANG_SECONDS = 0.2
SILL, LINTEL = 0.5, 2.36  # heights of the window's ends
FRAME = 0.07
SKY = np.array([0.006, 0.010, 0.030], np.float32)
WHITE = np.ones(3, np.float32)
FRAME_COLOUR = np.array([0.62, 0.58, 0.50], np.float32)


class Fireworks(Performance):
    """Bursts behind a window, from its entry on."""

    class_name = "fireworks"

    def __init__(
        self, stage: Stage, look: tuple[int, int], bursts: tuple[Burst, ...], sound_seed: int
    ) -> None:
        self.stage = stage
        self.look = look
        self.bursts = bursts
        self._sound_seed = sound_seed
        self._x = stage.x * WALL_Z / stage.z
        self._half = _half_width(stage)
        self._skyline = np.random.default_rng(sound_seed).uniform(0.04, 0.26, 16)

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """Every burst, when it is heard."""
        return tuple(
            Happening(time_seconds=burst.heard_seconds, strength=burst.strength)
            for burst in self.bursts
        )

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay the window, what is seen in it, and its light in the room over the picture."""
        if not has_entered(self.stage, time_seconds):
            return
        scale = camera.scale(WALL_Z)
        column, row = camera.project(self._x, (SILL + LINTEL) / 2, WALL_Z)
        half = self._half * scale, (LINTEL - SILL) / 2 * scale
        window = canvas.window(column, row, half[0] + 1, half[1] + 1)
        if window is None:
            return
        with appearing(canvas, self.stage, time_seconds):
            thick = FRAME * scale
            light = 0.85 - 0.2 * window.down / half[1]
            canvas.cover(window, FRAME_COLOUR * light[..., None], box(window, *half))
            pane = box(window, half[0] - thick, half[1] - thick)
            self._paint_sky(canvas, window, scale, pane)
            flash = self._paint_sparks(canvas, camera, window, pane, time_seconds)
            bar = 0.3 * thick
            across = np.clip(bar + 0.5 - np.abs(window.right), 0, 1) * pane
            canvas.cover(window, 0.5 * FRAME_COLOUR, across)
            self._paint_light(canvas, camera, flash)

    def _paint_sky(
        self, canvas: Canvas, window: Window, scale: float, pane: Float[np.ndarray, "y x"]
    ) -> None:
        up = 0.5 - window.down / (scale * (LINTEL - SILL))
        house = np.floor((window.right[0] / scale + self._half) * 4).astype(int) % 16
        roof = self._skyline[house] + 0.06
        sky = SKY * (1.0 + 2.5 * (1 - up))[..., None]
        canvas.cover(window, np.where((up < roof)[..., None], 0.3 * SKY, sky), pane)

    def _paint_sparks(
        self,
        canvas: Canvas,
        camera: Camera,
        window: Window,
        pane: Float[np.ndarray, "y x"],
        time_seconds: float,
    ) -> float:
        """Rising and flying sparks behind the pane; returns how much light they give."""
        if not self.bursts:  # the clip ends before the first
            return 0.0
        flying = [flying_sparks(burst, SILL, time_seconds) for burst in self.bursts]
        flash = sum((weights.sum() for _, weights in flying), 0.0) / NUM_SPARKS
        places = np.concatenate([places for places, _ in flying])
        weights = np.concatenate([weights for _, weights in flying])
        if len(places):
            column, row = camera.project(self._x, 0.0, WALL_Z)
            scale = camera.scale(WALL_Z)
            hits = points(
                canvas, column + places[:, 0] * scale, row - places[:, 1] * scale, weights
            )[window.rows, window.columns]
            colour = np.array(COLOURS[self.look[0]], np.float32)
            # the densest places are white
            canvas.glow(window, colour, np.minimum(hits, 1.2) * pane)
            canvas.glow(window, WHITE, 0.25 * np.clip(hits - 1.5, 0, 3) * pane)
        return float(flash)

    def _paint_light(self, canvas: Canvas, camera: Camera, flash: float) -> None:
        """Light of the bursts on wall and floor."""
        if flash < 0.02:
            return
        colour = np.array(COLOURS[self.look[0]], np.float32)
        column, row = camera.project(self._x, SILL, WALL_Z)
        reach = 1.6 * self._half * camera.scale(WALL_Z)
        if window := canvas.window(column, row, reach, reach):
            near = np.maximum(0, 1 - (window.right**2 + window.down**2) / reach**2)
            canvas.glow(window, colour, 0.04 * flash * near)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the window inside the picture."""
        if not has_entered(self.stage, time_seconds):
            return 0.0
        left, right = self._x - self._half, self._x + self._half
        return part_in_view(camera, left, right, SILL, LINTEL, WALL_Z)

    def sound(self) -> Float[np.ndarray, " s"]:
        """A thump for every burst and the crackle of its sparks, both when they arrive."""
        rng = np.random.default_rng(self._sound_seed)
        rate = self.stage.rate_hz
        num_samples = round(self.stage.clip_seconds * rate)
        boom = grain_kernels(rng, 4, 60.0, 420.0, 0.11, rate)
        thump = falling_thump(120.0, 48.0, 0.11, rate)[: boom.shape[1]]
        boom[:, : len(thump)] += 0.9 * thump
        snap = grain_kernels(rng, 1, 500.0, 4000.0, 0.008, rate)
        boom[:, : snap.shape[1]] += 0.5 * snap
        boom *= 0.7 / np.abs(boom).max(1, keepdims=True)
        times = np.array([burst.heard_seconds for burst in self.bursts])
        strengths = np.array([burst.strength for burst in self.bursts])
        total = grains(times, strengths, boom, num_samples, rate)
        crackle = grain_kernels(rng, 6, 1500.0, 7000.0, 0.004, rate)
        later = rng.beta(1.3, 2.0, (len(self.bursts), CRACKS)) * CRACKLE_SECONDS + CRACKLE_AFTER
        loud = 0.4 * strengths[:, None] * rng.uniform(0.1, 1.0, later.shape) ** 2
        total += grains((times[:, None] + later).ravel(), loud.ravel(), crackle, num_samples, rate)
        return with_soft_edges(total, self.stage.enter_seconds, rate)

    def envelope(self) -> Float[np.ndarray, " n"]:
        """Each burst from its arrival on, dying away."""
        times = np.array([burst.heard_seconds for burst in self.bursts])
        strengths = np.array([burst.strength for burst in self.bursts])
        return decaying_envelope(times, strengths, BANG_SECONDS, self.stage.clip_seconds)


def _half_width(stage: Stage) -> float:
    return min(1.35, 0.4 * stage.width * WALL_Z / stage.z)


def perform_fireworks(rng: np.random.Generator, stage: Stage) -> Fireworks:
    """Bursts of one kind and colour, every one or two seconds, near and far."""
    look = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(KINDS), looks=stage.looks
    )
    half = _half_width(stage)
    bursts: list[Burst] = []
    time = stage.enter_seconds + RISE_SECONDS + float(rng.uniform(0.05, 0.5))
    while time < stage.clip_seconds - 0.35:
        middle = half * float(rng.uniform(-0.45, 0.45)), float(rng.uniform(1.4, 1.85))
        bursts.append(choose_burst(rng, KINDS[look[1]], time, middle))
        time += float(rng.uniform(0.9, 2.1))
    return Fireworks(stage, look, tuple(bursts), int(rng.integers(2**31)))
