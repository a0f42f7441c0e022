"""Scene: an emergency vehicle drives round and round, comes near, passes and goes away again.

Its lamp turns and lights the room. The two-tone horn is louder the nearer it is, and higher while
it comes nearer than while it leaves (Doppler). The room is a model of a street: sound is slower
by the same scale, so that the toy's Doppler effect is that of a real car.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, disc, soft_ellipse
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.noises import at_rate, envelope_times, with_soft_edges
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import EYE_HEIGHT, Camera, Colour
from earsight.data.foley_room.shapes import appearing, box, has_entered, part_in_view
from earsight.data.foley_room.tones import doppler, oscillator, two_tone_hz

COLOURS: tuple[Colour, ...] = (
    (0.80, 0.79, 0.76), (0.60, 0.05, 0.03), (0.08, 0.22, 0.55), (0.70, 0.60, 0.06),
    (0.06, 0.36, 0.16),
)  # fmt: skip
LAMPS: tuple[Colour, ...] = ((0.10, 0.30, 1.0), (1.0, 0.10, 0.05), (1.0, 0.50, 0.04))
NEAREST_Z, FARTHEST_Z = 2.7, 5.7
SOUND_METRES_A_SECOND = 22.0  # 343 m/s at a scale of about 1 to 16
LENGTH, LAMP_HEIGHT, WHEEL = 0.84, 0.59, 0.095
PARTIALS = np.array([1.0, 0.25, 0.5, 0.1, 0.3, 0.05, 0.18, 0.0, 0.1])
TYRE = np.array([0.02, 0.02, 0.025], np.float32)
PANE = np.array([0.10, 0.15, 0.20], np.float32)

Part = tuple[float, float, float, float]
BODIES: tuple[tuple[Part, ...], ...] = (
    ((0.0, 0.29, 0.5, 0.21),),  # van
    ((0.0, 0.22, 0.5, 0.13), (-0.06, 0.40, 0.28, 0.10)),  # car
    ((-0.16, 0.32, 0.33, 0.23), (0.35, 0.24, 0.14, 0.14)),  # lorry
)
"""Boxes of a body that drives to the right: middle along its length and up, half sizes likewise."""
PANES: tuple[Part, ...] = (
    (0.33, 0.37, 0.13, 0.07), (-0.06, 0.40, 0.22, 0.065), (0.40, 0.29, 0.07, 0.055),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """Lap after lap on an oval; at a whole turn the vehicle is nearest."""

    first_turn: float
    lap_seconds: float
    aside: float  # half the oval's width, metres per metre of distance

    def angle(self, time_seconds: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
        """Angle along the oval."""
        return 2 * np.pi * (self.first_turn + time_seconds / self.lap_seconds)

    def place(
        self, stage: Stage, time_seconds: Float[np.ndarray, " t"]
    ) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
        """Metres to the right and away from the eye."""
        angle = self.angle(time_seconds)
        middle, half = (NEAREST_Z + FARTHEST_Z) / 2, (FARTHEST_Z - NEAREST_Z) / 2
        z = middle - half * np.cos(angle)
        return (stage.x / stage.z + self.aside * np.sin(angle)) * z, z

    def distance(
        self, stage: Stage, time_seconds: Float[np.ndarray, " t"]
    ) -> Float[np.ndarray, " t"]:
        """Metres from the eye to the lamp."""
        x, z = self.place(stage, time_seconds)
        return np.sqrt(x**2 + (EYE_HEIGHT - LAMP_HEIGHT) ** 2 + z**2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Horn:
    """The tones at rest, how long each lasts, and how often a second the lamp turns."""

    low_hz: float
    high_hz: float
    tone_seconds: float
    lamp: Colour
    lamp_turns_a_second: float


class Siren(Performance):
    """A vehicle with lamp and horn, from its entry on."""

    class_name = "siren"

    def __init__(self, stage: Stage, look: tuple[int, int], drive: Drive, horn: Horn) -> None:
        self.stage = stage
        self.look = look
        self.drive = drive
        self.horn = horn

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """None: it sounds steadily."""
        return ()

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay the vehicle and the light of its lamp over the picture."""
        if not has_entered(self.stage, time_seconds):
            return
        x, z = self._place(time_seconds)
        toward = float(np.cos(self.drive.angle(np.array([time_seconds])))[0])
        # seen from the side while it passes, shorter where it turns
        along = LENGTH * (0.55 * np.sign(toward) + 0.45 * toward)
        with appearing(canvas, self.stage, time_seconds):
            paint_shadow(canvas, camera, x, 0.0, z, 0.5 * LENGTH)
            colour = np.array(COLOURS[self.look[0]], np.float32)
            for end in (-0.3, 0.3):
                self._paint_disc(canvas, camera, (x + end * along, WHEEL, z), WHEEL)
            for part in BODIES[self.look[1]]:
                self._paint_box(canvas, camera, (x, z), along, part, colour)
            middle, up, half_length, _ = BODIES[self.look[1]][0]
            stripe = (middle, up - 0.04, half_length, 0.03)
            lamp = np.array(self.horn.lamp, np.float32)
            self._paint_box(canvas, camera, (x, z), along, stripe, 0.1 + 0.6 * lamp)
            self._paint_box(canvas, camera, (x, z), along, PANES[self.look[1]], PANE)
            self._paint_lamp(canvas, camera, (x - 0.06 * along, LAMP_HEIGHT, z), time_seconds)

    def _place(self, time_seconds: float) -> tuple[float, float]:
        x, z = self.drive.place(self.stage, np.array([time_seconds]))
        return float(x[0]), float(z[0])

    def _paint_disc(
        self, canvas: Canvas, camera: Camera, place: tuple[float, float, float], radius: float
    ) -> None:
        column, row = camera.project(*place)
        pixels = radius * camera.scale(place[2])
        if window := canvas.window(column, row, pixels + 1, pixels + 1):
            canvas.cover(window, TYRE, disc(window, pixels))

    def _paint_box(
        self,
        canvas: Canvas,
        camera: Camera,
        place: tuple[float, float],
        along: float,
        part: Part,
        colour: Float[np.ndarray, " 3"],
    ) -> None:
        middle, up, half_length, half_height = part
        column, row = camera.project(place[0] + middle * along, up, place[1])
        scale = camera.scale(place[1])
        wide, high = half_length * abs(along) * scale, half_height * scale
        if window := canvas.window(column, row, wide + 1, high + 1):
            light = 0.9 - 0.3 * window.down / high
            shape = box(window, wide, high, round_by=min(0.04 * scale, high))
            canvas.cover(window, colour * light[..., None], shape)

    def _paint_lamp(
        self, canvas: Canvas, camera: Camera, place: tuple[float, float, float], time: float
    ) -> None:
        """The lamp, which glares when its beam sweeps past the eye, and its light in the room."""
        turn = 2 * np.pi * self.horn.lamp_turns_a_second * time
        facing, sideways = float(np.cos(turn)), float(np.sin(turn))
        colour, scale = np.array(self.horn.lamp, np.float32), camera.scale(place[2])
        column, row = camera.project(*place)
        radius = 0.09 * scale
        if window := canvas.window(column, row, radius + 1, radius + 1):
            canvas.cover(window, 0.25 + 0.6 * colour, disc(window, radius))
        glare = 0.15 + 0.85 * max(0.0, facing) ** 2
        reach = (0.35 + 0.75 * max(0.0, facing)) * scale
        if window := canvas.window(column, row, reach, reach):
            spread = soft_ellipse(window, reach / 2, reach / 2, softness=1.0)
            canvas.glow(window, colour + 0.15, 0.95 * glare * spread**2)
        # the part of the beam that falls on the room wanders to the sides
        wide = 1.5 * scale
        middle = column + 0.9 * sideways * scale
        if window := canvas.window(middle, row, wide, 0.8 * wide):
            spread = soft_ellipse(window, wide / 2, 0.4 * wide, softness=1.0)
            canvas.glow(window, colour, 0.22 * (1 - max(0.0, facing)) * spread)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the vehicle inside the picture."""
        if not has_entered(self.stage, time_seconds):
            return 0.0
        x, z = self._place(time_seconds)
        return part_in_view(camera, x - LENGTH / 2, x + LENGTH / 2, 0.0, LAMP_HEIGHT, z)

    def frequency_hz(self) -> Float[np.ndarray, " s"]:
        """What is heard of the horn's pitch, for every sample."""
        rate = self.stage.rate_hz
        time = np.arange(round(self.stage.clip_seconds * rate)) / rate
        horn = self.horn
        tones = two_tone_hz(time, horn.low_hz, horn.high_hz, horn.tone_seconds)
        return tones * doppler(self.drive.distance(self.stage, time), rate, SOUND_METRES_A_SECOND)

    def sound(self) -> Float[np.ndarray, " s"]:
        """The horn, shifted and weakened by the way it has to go."""
        rate = self.stage.rate_hz
        frequency = self.frequency_hz()
        level = at_rate(self.envelope(), len(frequency), rate)
        tone = oscillator(frequency, PARTIALS, rate) / np.abs(PARTIALS).sum()
        return with_soft_edges(1.05 * level * tone, self.stage.enter_seconds, rate)

    def envelope(self) -> Float[np.ndarray, " n"]:
        """Level by distance, 1 where it is nearest; nothing before it enters."""
        time = envelope_times(self.stage.clip_seconds)
        level = (NEAREST_Z / self.drive.distance(self.stage, time)) ** 1.5
        return np.where(time < self.stage.enter_seconds, 0.0, np.minimum(level, 1))


def perform_siren(rng: np.random.Generator, stage: Stage) -> Siren:
    """A vehicle by chance on a lap by chance; it first comes near soon after its entry."""
    look = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(BODIES), looks=stage.looks
    )
    lap = float(rng.uniform(3.4, 5.5))
    drive = Drive(
        first_turn=-float(rng.uniform(0.25, 0.5)) - stage.enter_seconds / lap,
        lap_seconds=lap,
        aside=max(0.0, stage.width / 2 / stage.z - 0.5 * LENGTH / NEAREST_Z),
    )
    low = float(rng.uniform(420, 560))
    horn = Horn(
        low_hz=low,
        high_hz=low * float(rng.uniform(1.3, 1.42)),
        tone_seconds=float(rng.uniform(0.4, 0.65)),
        lamp=LAMPS[int(rng.integers(len(LAMPS)))],
        lamp_turns_a_second=float(rng.uniform(1.3, 2.1)),
    )
    return Siren(stage, look, drive, horn)
