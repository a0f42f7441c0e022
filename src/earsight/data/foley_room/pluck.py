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
    harp,
    long_neck,
    lyre,
)
from earsight.data.foley_room.looks import choose_combination
from earsight.data.foley_room.noises import decaying_envelope, with_soft_edges
from earsight.data.foley_room.performance import Happening, Performance, Stage
from earsight.data.foley_room.room import Camera, Colour
from earsight.data.foley_room.shapes import (
    along_lines,
    appearing,
    has_entered,
    part_in_view,
    points,
    rod,
    whole_window,
)
from earsight.data.foley_room.tones import plucked_string

COLOURS: tuple[Colour, ...] = (
    (0.62, 0.36, 0.13), (0.17, 0.07, 0.03), (0.55, 0.05, 0.04), (0.75, 0.53, 0.14),
    (0.80, 0.78, 0.72),
)  # fmt: skip
MAKERS = (harp, lyre, long_neck)
LARGEST_PULL = 0.16  # metres
PULL_SECONDS = 0.4
SWING_SECONDS = 0.45  # the visible swing falls to 1/e in this time
SWINGS_A_SECOND = 7.3  # slower than the sound, so that frames show it
RING_SECONDS = 0.35
LONGEST_RING = 2.0
STRING_COLOUR = np.array([0.95, 0.93, 0.85])
PLECTRUM_COLOUR = np.array([0.05, 0.55, 0.75])
MOVES = 0.004  # metres; a smaller swing is not painted as one
_PARTS = tuple(float(part) for part in np.linspace(0, 1, 7))
_DOWN = np.array([1.0, -1.0])


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
        look: tuple[int, int],
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
        stage = self.stage
        if not has_entered(stage, time_seconds):
            return
        with appearing(canvas, stage, time_seconds):
            paint_shadow(canvas, camera, stage.x, 0.0, stage.z, 0.7 * self._reach[0])
            colour = np.array(COLOURS[self.look[0]], np.float32)
            for start, end, half_width, tone in self.instrument.beams:
                self._paint_rod(canvas, camera, (start, end), tone * colour, half_width)
            bows, weights, tips = self._strings(time_seconds)
            corners = camera.project(stage.x, 0.0, stage.z) + bows * camera.scale(stage.z) * _DOWN
            columns, rows, lengths = along_lines(corners)
            thick = np.repeat(weights, len(lengths) // len(weights)) * lengths
            opacity = np.minimum(points(canvas, columns, rows, thick), 1)
            canvas.cover(whole_window(canvas), STRING_COLOUR, opacity)
            for tip in tips:
                away = (tip[0] + 0.05, tip[1] - 0.06)
                self._paint_rod(canvas, camera, (tip, away), PLECTRUM_COLOUR, 0.045)

    def _strings(
        self, time_seconds: float
    ) -> tuple[Float[np.ndarray, "l c 2"], Float[np.ndarray, " l"], list[Point]]:
        """Lines as corners in metres, how thick each is, and where plectrums hold a string."""
        lines: list[list[Point]] = []
        weights: list[float] = []
        tips: list[Point] = []
        for number, wire in enumerate(self.instrument.wires):
            pull, swing = self._state(number, time_seconds)
            if pull:
                lines.append([wire.at(part, pull * (1 - abs(2 * part - 1))) for part in _PARTS])
                weights.append(1.0)
                tips.append(wire.at(0.5, pull))
                continue
            turn = 2 * np.pi * SWINGS_A_SECOND * self._since(number, time_seconds)
            now = swing * float(np.cos(turn)) if swing else 0.0
            # where the string is just now and, paler, the spread of its swing as the eye sees it
            spread = (
                [(now, 0.85), (swing, 0.45), (-swing, 0.45)] if abs(swing) > MOVES else [(now, 0.8)]
            )
            for aside, weight in spread:
                lines.append(
                    [wire.at(part, aside * float(np.sin(np.pi * part))) for part in _PARTS]
                )
                weights.append(weight)
        return np.array(lines), np.array(weights), tips

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
                part = smooth_step(np.array([1 + since / PULL_SECONDS]))[0]
                return release.pull * float(part), 0.0
            if since >= 0:
                swing = release.pull * float(np.exp(-since / SWING_SECONDS))
        return 0.0, swing

    def _paint_rod(
        self,
        canvas: Canvas,
        camera: Camera,
        ends: tuple[Point, Point],
        colour: Float[np.ndarray, " 3"],
        half_width: float,
    ) -> None:
        """Paint a bar between two points given relative to the instrument's foot."""
        stage = self.stage
        seen = np.array([camera.project(stage.x + x, y, stage.z) for x, y in ends])
        thick = half_width * camera.scale(stage.z)
        middle, half = seen.mean(0), np.abs(seen[1] - seen[0]) / 2 + thick + 1
        if window := canvas.window(*map(float, middle), *map(float, half)):
            first, last = seen - middle
            opacity, light = rod(
                window, (float(first[0]), float(first[1])), (float(last[0]), float(last[1])), thick
            )
            canvas.cover(window, colour * (0.35 + 0.8 * light[..., None]), opacity)

    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the instrument inside the picture."""
        if not has_entered(self.stage, time_seconds):
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
    look = choose_combination(
        rng, num_colours=len(COLOURS), num_shapes=len(MAKERS), looks=stage.looks
    )
    instrument = MAKERS[look[1]](min(1.2, 0.85 * stage.width), int(rng.integers(3)))
    num_wires = len(instrument.wires)
    releases: list[Release] = []
    time = stage.enter_seconds + PULL_SECONDS + float(rng.uniform(0.1, 0.7))
    while time < stage.clip_seconds - 0.15:
        wire = int(rng.integers(num_wires))
        pull = LARGEST_PULL * float(rng.uniform(0.5, 1) * rng.choice([-1, 1]))
        releases.append(Release(wire=wire, time_seconds=time, pull=pull))
        time += PULL_SECONDS + float(rng.uniform(0.15, 1.1))
    return Pluck(stage, look, instrument, tuple(releases), int(rng.integers(2**31)))
