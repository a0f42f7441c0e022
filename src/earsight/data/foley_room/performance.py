"""What a scene of the Foley Room offers: something that moves in the picture and is heard.

The world builds a clip from one or more performances: it paints the room, lets each performance
paint itself, mixes their sounds and writes down the truth. A performance knows nothing of other
performances, cuts, noise or files.
Lengths in metres, as in `room`; time in seconds from the clip's start. Axes: s samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from earsight.data.foley_room.canvas import Canvas
from earsight.data.foley_room.room import Camera

Looks = Literal["seen", "held_out"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Where and when a performance takes place.

    It stands around `x` on the floor at distance `z` and fits into `width` metres (a clip with two
    sources gives each half of the view). It begins at `enter_seconds`: before that nothing of it
    is seen or heard. `looks` says which combinations of colour and shape it may choose: those of
    "held_out" occur in test clips only.
    """

    clip_seconds: float
    rate_hz: int
    x: float
    z: float
    width: float
    enter_seconds: float = 0.0
    looks: Looks = "seen"


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """A moment that is heard as an event of its own; `strength` 1 is the loudest possible."""

    time_seconds: float
    strength: float


class Performance(ABC):
    """One sounding thing of one class, for the length of a clip; fully decided at construction."""

    class_name: str

    @property
    @abstractmethod
    def happenings(self) -> tuple[Happening, ...]:
        """Events in order of time; empty for classes that sound steadily."""

    @abstractmethod
    def paint(self, canvas: Canvas, camera: Camera, time_seconds: float) -> None:
        """Lay the thing over the picture as it looks at a time."""

    @abstractmethod
    def visible_part(self, camera: Camera, time_seconds: float) -> float:
        """Part of the sounding thing inside the picture, 0 to 1."""

    @abstractmethod
    def sound(self) -> Float[np.ndarray, " s"]:
        """What is heard, float32 mono at the stage's rate and of the clip's length.

        The loudest event a class can make peaks at about 0.7.
        """

    @abstractmethod
    def envelope(self) -> Float[np.ndarray, " n"]:
        """How strongly it should sound, 0 to 1, a hundred times a second.

        Recordings of a sound bank take this shape where there are no happenings.
        """


Perform = Callable[[np.random.Generator, Stage], Performance]
"""A class of the world: draws one performance by chance."""
