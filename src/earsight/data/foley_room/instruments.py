"""Instruments with strings: where the strings run and what holds them.

Lengths in metres, right of the instrument's middle and above the floor.
"""

from dataclasses import dataclass

import numpy as np

WAVE_METRES_A_SECOND = 260.0  # how fast a pull runs along any string

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wire:
    """A string between two ends."""

    start: Point
    end: Point

    @property
    def length(self) -> float:
        """Metres between the ends."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    @property
    def frequency_hz(self) -> float:
        """Pitch: a wave runs there and back once a period."""
        return WAVE_METRES_A_SECOND / (2 * self.length)

    def at(self, part: float, aside: float) -> Point:
        """A point so far along the string, moved sideways by so many metres."""
        along = (self.end[0] - self.start[0], self.end[1] - self.start[1])
        return (
            self.start[0] + part * along[0] - aside * along[1] / self.length,
            self.start[1] + part * along[1] + aside * along[0] / self.length,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """Strings and what holds them: round bars (start, end, half width, brightness)."""

    wires: tuple[Wire, ...]
    beams: tuple[tuple[Point, Point, float, float], ...]


def harp(size: float, more: int) -> Instrument:
    """Upright strings, 4 and `more`, between a slanted soundboard and a neck."""
    left, right, foot = -0.42 * size, 0.42 * size, 0.04
    wires: list[Wire] = []
    num_wires = 4 + more
    for part in np.linspace(0.14, 0.86, num_wires):
        x = left + (right - left) * float(part)
        low, high = size * (0.14 + 0.76 * float(part)), size * (1.36 - 0.1 * float(part))
        wires.append(Wire(start=(x, low), end=(x, high)))
    top_left, top_right = (left, 1.36 * size), (right, 1.26 * size)
    beams = (
        ((left, foot), top_left, 0.035, 1.0),
        ((left, 0.14 * size), (right, 0.9 * size), 0.055, 1.0),
        (top_left, top_right, 0.04, 1.0),
        (top_right, (right, 0.9 * size), 0.04, 1.0),
        ((left, foot), (left + 0.35 * size, foot), 0.04, 1.0),
    )
    return Instrument(wires=tuple(wires), beams=beams)


def lyre(size: float, more: int) -> Instrument:
    """Level strings between two arms that come together towards the top: 4 and `more`."""
    bottom, top, wide, narrow = 0.12 * size, 1.25 * size, 0.55 * size, 0.16 * size
    wires: list[Wire] = []
    num_wires = 4 + more
    for part in np.linspace(0.16, 0.86, num_wires):
        x = wide + (narrow - wide) * float(part)
        y = bottom + (top - bottom) * float(part)
        wires.append(Wire(start=(-x, y), end=(x, y)))
    beams = (
        ((-wide, bottom), (-narrow, top), 0.05, 1.0),
        ((wide, bottom), (narrow, top), 0.05, 1.0),
        ((-wide, bottom), (wide, bottom), 0.07, 1.0),
        ((-narrow - 0.06, top), (narrow + 0.06, top), 0.045, 1.0),
    )
    return Instrument(wires=tuple(wires), beams=beams)


def long_neck(size: float, more: int) -> Instrument:
    """A round body and a slanting neck; the strings end at different pegs along it: 2 or 3."""
    body, head = (-0.24 * size, 0.36 * size), (0.42 * size, 1.24 * size)
    neck = Wire(start=body, end=head)
    wires: list[Wire] = []
    num_wires = 2 + min(more, 1)
    for number in range(num_wires):
        aside = 0.09 * size * (number - (num_wires - 1) / 2)
        wires.append(Wire(start=neck.at(0.02, aside), end=neck.at(0.94 - 0.2 * number, aside)))
    beams = (
        (body, body, 0.31 * size, 1.0),
        (body, head, 0.055 * size + 0.035 * size * (num_wires - 1), 0.25),
        (neck.at(0.02, -0.16 * size), neck.at(0.02, 0.16 * size), 0.03, 0.15),
    )
    return Instrument(wires=tuple(wires), beams=beams)
