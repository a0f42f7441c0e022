"""Scene: an instrument with strings; a plectrum pulls one, lets go, and it swings and sounds.

The pitch follows the visible length: a string half as long sounds an octave higher.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.ball import paint_shadow
from earsight.data.foley_room.canvas import Canvas, smooth_step
from earsight.data.foley_room.instruments import (
    Instrument,
    Point,
    Wire,
    harp,
    long_neck,
    lyre,
)
from earsight.data.foley_room.noises import decaying_envelope, with_soft_edges
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import appearing, choose_combination, part_in_view, stroke
from earsight.data.foley_room.tones import plucked_string

COLOURS: dict[str, Colour] = {
    "maple": (0.62, 0.36, 0.13), "walnut": (0.16, 0.07, 0.03), "red": (0.55, 0.05, 0.04),
    "gold": (0.75, 0.53, 0.14), "white": (0.80, 0.78, 0.72),
}  # fmt: skip
SHAPES = ("harp", "lyre", "long neck")
HELD_OUT = frozenset({("walnut", "lyre"), ("red", "harp"), ("gold", "long neck")})
LARGEST_PULL = 0.16  # metres
PULL_SECONDS = 0.4
SWING_SECONDS = 0.45  # the visible swing falls to 1/e in this time
SWINGS_A_SECOND = 7.3  # slower than the sound, so that frames show it
RING_SECONDS = 0.35
LONGEST_RING = 2.0
STRING_COLOUR = np.array([0.95, 0.93, 0.85])
PLECTRUM_COLOUR = np.array([0.05, 0.55, 0.75])
_BOW = tuple((part, float(np.sin(np.pi * part))) for part in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A string is let go: which one, when, and how far it was pulled (metres, with side)."""

    wire: int
    time_seconds: float
    pull: float


class Pluck(Performance):
    """An instrument that is plucked now and then."""

    class_name = "pluck"

    def __init__(
        self,
        stage: Stage,
        look: tuple[str, str],
        instrument: Instrument,
        releases: tuple[Release, ...],
        sound_seed: int,
    ) -> None:
        self.stage = stage
        self.look = look
        self.instrument = instrument
        self.releases = releases
        self._sound_seed = sound_seed
        ends = [end for beam in instrument.beams for end in beam[:2]]
        self._reach = max(abs(end[0]) for end in ends), max(end[1] for end in ends)

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """Every release, the stronger the farther the string was pulled."""
        return tuple(
            Happening(time_seconds=release.time_seconds, strength=_strength(release.pull))
            for release in self.releases
        )

    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay frame, strings and plectrum over the picture."""
        if time_seconds < self.stage.enter_seconds:
            return
        with appearing(canvas, time_seconds, self.stage.enter_seconds):
            paint_shadow(canvas, camera, self.stage.x, 0.0, self.stage.z, 0.8 * self._reach[0])
            colour = np.array(COLOURS[self.look[0]])
            for start, end, half_width in self.instrument.beams:
                self._line(canvas, camera, [start, end], 0.35 * colour, half_width)
                lit = [(start[0] - 0.008, start[1] + 0.008), (end[0] - 0.008, end[1] + 0.008)]
                self._line(canvas, camera, lit, colour, 0.62 * half_width)
            for number, wire in enumerate(self.instrument.wires):
                self._paint_wire(canvas, camera, number, wire, time_seconds)

    def _paint_wire(
        self, canvas: Canvas, camera: Camera, number: int, wire: Wire, time_seconds: float
    ) -> None:
        pull, swing = self._state(number, time_seconds)
        if pull:
            held = wire.at(0.5, pull)
            self._line(canvas, camera, [wire.start, held, wire.end], STRING_COLOUR, 0.011)
            tip = (held[0] + 0.05, held[1] - 0.05)
            self._line(canvas, camera, [held, tip], PLECTRUM_COLOUR, 0.045)
            return
        if abs(swing) > 0.004:
            # the spread of the swing as the eye sees it, then where the string is just now
            for side in (-1.0, 1.0):
                bow = [wire.at(part, side * swing * bulge) for part, bulge in _BOW]
                self._line(canvas, camera, bow, STRING_COLOUR, 0.006)
            now = swing * np.cos(2 * np.pi * SWINGS_A_SECOND * self._since(number, time_seconds))
            bow = [wire.at(part, float(now) * bulge) for part, bulge in _BOW]
            self._line(canvas, camera, bow, STRING_COLOUR, 0.014)
            return
        self._line(canvas, camera, [wire.start, wire.end], STRING_COLOUR, 0.009)

    def _since(self, number: int, time_seconds: float) -> float:
        times = [r.time_seconds for r in self.releases if r.wire == number]
        return min((time_seconds - t for t in times if t <= time_seconds), default=np.inf)

    def _state(self, number: int, time_seconds: float) -> tuple[float, float]:
        """How far a string is held aside, and how far it swings."""
        swing = 0.0
        for release in self.releases:
            if release.wire != number:
                continue
            since = time_seconds - release.time_seconds
            if -PULL_SECONDS < since < 0:
                return release.pull * float(smooth_step(np.array(1 + since / PULL_SECONDS))), 0.0
            if since >= 0:
                swing = release.pull * float(np.exp(-since / SWING_SECONDS))
        return 0.0, swing

    def _line(
        self,
        canvas: Canvas,
        camera: Camera,
        corners: list[Point],
        colour: Float[np.ndarray, " 3"],
        half_width: float,
    ) -> None:
        """Paint a line through points given relative to the instrument's foot."""
        stage = self.stage
        seen = np.array([camera.project(stage.x + x, y, stage.z) for x, y in corners])
        thick = half_width * camera.scale(stage.z)
        least, most = seen.min(0), seen.max(0)
        middle = (least + most) / 2
        reach = (most - least) / 2 + thick + 1
        window = canvas.window(*map(float, middle), *map(float, reach))
        if window is None:
            return
        opacity = np.zeros_like(window.right)
        steps = seen - middle
        for (x0, y0), (x1, y1) in zip(steps[:-1], steps[1:], strict=True):
            line = stroke(window, (float(x0), float(y0)), (float(x1), float(y1)), thick)
            opacity = np.maximum(opacity, line)
        canvas.cover(window, colour, opacity)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the instrument inside the picture."""
        if time_seconds < self.stage.enter_seconds:
            return 0.0
        x, (wide, high) = self.stage.x, self._reach
        return part_in_view(camera, x - wide, x + wide, 0.0, high, self.stage.z)

    def sound(self) -> Float[np.ndarray, " s"]:
        """Every string as it rings from its release on."""
        rng = np.random.default_rng(self._sound_seed)
        rate = self.stage.rate_hz
        total = np.zeros(round(self.stage.clip_seconds * rate))
        for release in self.releases:
            start = round(release.time_seconds * rate)
            seconds = min(LONGEST_RING, (len(total) - start) / rate)
            string = plucked_string(
                rng,
                self.instrument.wires[release.wire].frequency_hz,
                seconds,
                rate,
                decay_seconds=RING_SECONDS,
            )
            end = min(len(total), start + len(string))
            total[start:end] += 0.7 * _strength(release.pull) * string[: end - start]
        return with_soft_edges(total, self.stage.enter_seconds, rate)

    def envelope(self) -> Float[np.ndarray, " n"]:
        """Each release, dying away."""
        times = np.array([happening.time_seconds for happening in self.happenings])
        strengths = np.array([happening.strength for happening in self.happenings])
        return decaying_envelope(times, strengths, RING_SECONDS, self.stage.clip_seconds)


def _strength(pull: float) -> float:
    return abs(pull) / LARGEST_PULL


def perform_pluck(rng: np.random.Generator, stage: Stage) -> Pluck:
    """An instrument by chance, plucked every half second to second and a half."""
    look = choose_combination(rng, COLOURS, SHAPES, HELD_OUT, stage.looks)
    size = min(1.0, 0.9 * stage.width)
    match look[1]:
        case "harp":
            instrument = harp(int(rng.integers(4, 7)), size)
        case "lyre":
            instrument = lyre(int(rng.integers(4, 6)), size)
        case _:
            instrument = long_neck(int(rng.integers(2, 4)), size)
    num_wires = len(instrument.wires)
    releases: list[Release] = []
    time = stage.enter_seconds + PULL_SECONDS + float(rng.uniform(0.1, 0.7))
    while time < stage.clip_seconds - 0.15:
        wire = int(rng.integers(num_wires))
        pull = LARGEST_PULL * float(rng.uniform(0.5, 1) * rng.choice([-1, 1]))
        releases.append(Release(wire=wire, time_seconds=time, pull=pull))
        time += PULL_SECONDS + float(rng.uniform(0.15, 1.1))
    return Pluck(stage, look, instrument, tuple(releases), int(rng.integers(2**31)))
