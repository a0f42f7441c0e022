"""What a rendered clip is: its settings, its exact truth, and its frames, drawn when asked for.

Axes: t frames, h w pixels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float, UInt8

from earsight.errors import ConfigError

FASTEST_FPS = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSettings:
    """Size and length of a clip, and how it is filmed.

    `camera_shake` is the largest movement of the picture, as a part of its height.
    `exposures` is the number of moments averaged into one frame (motion blur), taken from
    half the time between two frames.
    """

    width: int = 112
    height: int = 112
    fps: float = 21.5
    clip_seconds: float = 10.0
    camera_shake: float = 0.01
    exposures: int = 4

    def __post_init__(self) -> None:
        if self.width < 16 or self.height < 16 or self.width % 2 or self.height % 2:
            size = f"{self.width} x {self.height}"
            raise ConfigError(f"a clip of {size} cannot be stored: take even sides of 16 or more")
        if not 1 <= self.fps <= FASTEST_FPS:
            raise ConfigError(f"fps must be from 1 to {FASTEST_FPS:g}, got {self.fps:g}")
        if self.num_frames < 1:
            raise ConfigError(f"{self.clip_seconds} s at {self.fps:g} fps hold no frame")
        if not 0 <= self.camera_shake <= 0.1:
            raise ConfigError(f"camera_shake must be from 0 to 0.1, got {self.camera_shake}")
        if self.exposures < 1:
            raise ConfigError(f"exposures must be 1 or more, got {self.exposures}")

    @property
    def num_frames(self) -> int:
        """Number of frames of the clip."""
        return round(self.clip_seconds * self.fps)

    @property
    def exact_fps(self) -> Fraction:
        """Frames per second as the fraction that containers store."""
        return Fraction(self.fps).limit_denominator(1001)


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundEvent:
    """Something that is heard: when, of which class, and how hard.

    `strength` is 1 for the loudest event its class can make; `impact_speed` is in m/s, and 0
    where nothing collides.
    """

    time_seconds: float
    sound_class: str
    impact_speed: float = 0.0
    strength: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipTruth:
    """What is true of a clip because the renderer made it so.

    `visibility` is the part of the sounding object inside the picture, 0 to 1, per frame.
    `loudness` is the rms amplitude during each frame, without background noise.
    `class_name` is the main one of `classes`, those that are heard; `scene_name` is what is seen
    making it (another name only where recordings are played). `difficulties` names those in use.
    """

    classes: tuple[str, ...]
    fps: float
    events: tuple[SoundEvent, ...]
    visibility: tuple[float, ...]
    loudness: tuple[float, ...]
    class_name: str = ""
    scene_name: str = ""
    difficulties: tuple[str, ...] = ()
    held_out_look: bool = False


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that can be drawn frame by frame, in any order, as often as wanted."""

    picture: PictureSettings
    truth: ClipTruth
    draw: Callable[[int], UInt8[np.ndarray, "h w 3"]]

    def frames(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Every frame in order, RGB."""
        return (self.draw(index) for index in range(self.picture.num_frames))


def ringing_loudness(
    times_seconds: Float[np.ndarray, " e"],
    amplitudes: Float[np.ndarray, " e"],
    decays_seconds: Float[np.ndarray, " e"],
    picture: PictureSettings,
) -> Float[np.ndarray, " t"]:
    """Rms amplitude in every frame of events that start at once and die away exponentially.

    An event's amplitude falls to 1/e in its decay time; powers add. Exact: the power is
    integrated over each frame, not sampled.
    """
    edges = np.arange(picture.num_frames + 1)[:, None] / picture.fps
    half = decays_seconds / 2
    since = np.maximum(edges - times_seconds, 0)
    energy = amplitudes**2 * half * (1 - np.exp(-since / half))
    return np.sqrt(np.maximum(np.diff(energy.sum(1)), 0) * picture.fps)
