"""Which frames of a video are taken, and when: the published selections and every frame.

A rule is fed the times of the shown frames, in order and exact, and answers how often the frame
before and the new one are to be emitted. Nothing but counters is kept, so videos may be of any
length.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import ClassVar, NamedTuple

from earsight.errors import ConfigError

MAX_FPS = 1000
_HALF = Fraction(1, 2)


class Copies(NamedTuple):
    """How often to emit the frame before, then the new one."""

    previous: int
    new: int


class Selector(ABC):
    """Running state of a rule over one video."""

    @abstractmethod
    def see(self, time: Fraction) -> Copies:
        """What to emit now that a frame with this time in seconds has come."""

    @abstractmethod
    def finish(self, end: Fraction) -> int:
        """How often to emit the last frame once more; `end` is where it stops being shown."""


@dataclass(frozen=True)
class EveryFrame:
    """All frames, each at its own time."""

    fps: ClassVar[None] = None

    def start(self, frame_seconds: Fraction) -> Selector:
        """Begin a video whose frames are `frame_seconds` apart by its header."""
        return _EverySelector()


@dataclass(frozen=True)
class FpsFilter:
    """FFmpeg's filter `fps=fps=...`: each slot shows the last frame that rounds to it or before.

    A frame at time t belongs to slot floor(fps t + 1/2). Source: FFmpeg, libavfilter/vf_fps.c, with
    its default rounding; used by SpecVQGAN for ResNet-50 features.
    """

    fps: Fraction

    def __post_init__(self) -> None:
        _refuse_fps(self.fps)

    def start(self, frame_seconds: Fraction) -> Selector:
        """Begin a video whose frames are `frame_seconds` apart by its header."""
        return _FpsSelector(self.fps)


@dataclass(frozen=True)
class OutputRate:
    """FFmpeg's output option `-r ...`: frames are dropped or doubled once they drift over a frame.

    Source: FFmpeg, fftools (constant frame rate output); used by RegNet and SpecVQGAN for
    BN-Inception features.
    """

    fps: Fraction

    def __post_init__(self) -> None:
        _refuse_fps(self.fps)

    def start(self, frame_seconds: Fraction) -> Selector:
        """Begin a video whose frames are `frame_seconds` apart by its header."""
        return _OutputRateSelector(self.fps, frame_seconds)


FrameRule = EveryFrame | FpsFilter | OutputRate


class _EverySelector(Selector):
    def see(self, time: Fraction) -> Copies:
        return Copies(0, 1)

    def finish(self, end: Fraction) -> int:
        return 0


class _FpsSelector(Selector):
    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._next_slot: int | None = None
        self._num_emitted = 0

    def see(self, time: Fraction) -> Copies:
        if self._next_slot is None:
            self._next_slot = self._slot(time)
            return Copies(0, 0)
        return Copies(self._fill_until(time), 0)

    def finish(self, end: Fraction) -> int:
        # a video shorter than half a slot still has a picture
        return max(self._fill_until(end), 1 - min(self._num_emitted, 1))

    def _fill_until(self, time: Fraction) -> int:
        next_slot = self._next_slot or 0
        num_slots = max(self._slot(time) - next_slot, 0)
        self._next_slot = next_slot + num_slots
        self._num_emitted += num_slots
        return num_slots

    def _slot(self, time: Fraction) -> int:
        return floor(self._fps * time + _HALF)


class _OutputRateSelector(Selector):
    def __init__(self, fps: Fraction, frame_seconds: Fraction) -> None:
        self._fps = fps
        self._frame_slots = float(fps * frame_seconds)
        self._next_slot = 0
        self._seen = False

    def see(self, time: Fraction) -> Copies:
        early = float(self._fps * time - self._next_slot)
        end = early + self._frame_slots
        if end < -1.1:
            return Copies(0, 0)
        num_frames = round(end) if end > 1.1 else 1
        num_previous = min(round(early - 0.6), num_frames) if end > 1.1 and early > 1.1 else 0
        self._next_slot += num_frames
        if not self._seen:  # nothing to repeat yet
            self._seen = True
            num_previous = 0
        return Copies(num_previous, num_frames - num_previous)

    def finish(self, end: Fraction) -> int:
        return 0


def _refuse_fps(fps: Fraction) -> None:
    if not 0 < fps <= MAX_FPS:
        raise ConfigError(f"fps must be above 0 and at most {MAX_FPS}, got {fps}")
