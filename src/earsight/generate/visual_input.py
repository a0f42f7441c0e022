"""A video, a picture or a ready motion track as the input of a sound model.

Axes: n frames, r values of a frame.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.motion import MotionTrack, motion_track, with_clip_gain
from earsight.frontends.visual_features import FEATURE_FPS
from earsight.generate.conditions import (
    Conditions,
    FeatureConditions,
    never_still,
    still_track,
)
from earsight.generate.frame_networks import FEATURE_RATE, FrameNetwork
from earsight.generate.sight import describe, joined_rows, sight_rows
from earsight.media.image import read_image
from earsight.media.video import FpsFilter, FrameRule, probe, stream_frames
from earsight.models.sight.model import SightTower, small_pictures

_RULE = FpsFilter(FEATURE_RATE)


class VisualInput(ABC):
    """What is seen, for how long."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """Length of the sound to make."""

    @abstractmethod
    def motion(self) -> MotionTrack:
        """Motion of the picture; measured once."""

    @abstractmethod
    def sight(self, tower: SightTower) -> Float[Tensor, "n r"]:
        """Per frame at 21.5 a second: energy, onset, the tower's values; measured once."""

    @abstractmethod
    def features(self, network: FrameNetwork, *, num_samples: int) -> Conditions:
        """Frame features; a new reading from the start at every call."""


class VideoInput(VisualInput):
    """A video file, read as a stream.

    Raises MediaError for files that cannot be read and InputError for a duration beyond the video.
    """

    def __init__(
        self,
        path: Path,
        *,
        seconds: float | None = None,
        short: Literal["zeros", "tile"] = "tile",
    ) -> None:
        self.path = path
        self.info = probe(path)
        if seconds is not None and not 0 < seconds <= self.info.duration_seconds + 0.5:
            raise InputError(
                f"{path} lasts {self.info.duration_seconds:.2f} s, asked for {seconds:g} s of "
                "sound: choose a duration inside the video"
            )
        self._seconds = seconds if seconds is not None else self.info.duration_seconds
        self._short: Literal["zeros", "tile"] = short
        self._motion: MotionTrack | None = None
        self._sight: tuple[SightTower, Float[Tensor, "n r"]] | None = None

    @property
    def seconds(self) -> float:
        """Length of the picture, or the shorter one asked for."""
        return self._seconds

    def motion(self) -> MotionTrack:
        """Motion of the picture, brought to a common strength and never quite still."""
        if self._motion is None:
            measured = motion_track(self._frames(_RULE))
            self._motion = never_still(with_clip_gain(measured))
        return self._motion

    def sight(self, tower: SightTower) -> Float[Tensor, "n r"]:
        """Motion and the tower's values, from one reading of the video."""
        if self._sight is None or self._sight[0] is not tower:
            self._motion, rows = sight_rows(self._frames(_RULE), tower)
            self._sight = tower, rows
        return self._sight[1]

    def features(self, network: FrameNetwork, *, num_samples: int) -> Conditions:
        """Frame features, read as far as they are needed."""
        kept = network.keep(self._frames(network.rule))
        return FeatureConditions(kept, network.features, num_samples=num_samples, short=self._short)

    def _frames(self, rule: FrameRule) -> Iterator[UInt8[Tensor, "h w 3"]]:
        for frame in stream_frames(self.path, rule=rule):
            if frame.time_seconds > self._seconds + 1:
                return
            yield frame.pixels


class PictureInput(VisualInput):
    """A still picture, seen for `seconds`."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        if not 0 < seconds <= 24 * 3600:
            raise InputError(f"a duration lies between 0 s and a day, got {seconds:g} s")
        self.path = path
        self._pixels = read_image(path)
        self._seconds = seconds

    @property
    def seconds(self) -> float:
        """Length asked for."""
        return self._seconds

    def motion(self) -> MotionTrack:
        """Steady motion, assumed."""
        return still_track(self._seconds)

    def sight(self, tower: SightTower) -> Float[Tensor, "n r"]:
        """Steady motion, and what the tower says of the picture standing still."""
        track = self.motion()
        size, reach = tower.config.picture_size, tower.config.reach
        small = small_pictures(self._pixels[None], size=size).expand(2 * reach + 1, -1, -1, -1)
        middle = describe(small, tower)[reach]
        return joined_rows(track, middle.expand(track.num_frames, -1))

    def features(self, network: FrameNetwork, *, num_samples: int) -> Conditions:
        """The picture's features, repeated."""
        # two frames, since motion between frames is a feature of some networks
        kept = next(network.keep(iter([self._pixels, self._pixels])))
        count = round(self._seconds * FEATURE_FPS) + 1
        return FeatureConditions(
            (kept for _ in range(count)), network.features, num_samples=num_samples, short="tile"
        )


class TrackInput(VisualInput):
    """A motion track instead of a picture."""

    def __init__(self, track: MotionTrack) -> None:
        self._track = track

    @property
    def seconds(self) -> float:
        """Length of the track."""
        return self._track.seconds

    def motion(self) -> MotionTrack:
        """The track itself."""
        return self._track

    def sight(self, tower: SightTower) -> Float[Tensor, "n r"]:
        """The track with nothing seen."""
        nothing = torch.zeros(self._track.num_frames, tower.config.num_values)
        return joined_rows(self._track, nothing)

    def features(self, network: FrameNetwork, *, num_samples: int) -> Conditions:
        """Raises InputError: a track shows nothing."""
        raise InputError("a motion track has no picture for a network: give the video itself")
