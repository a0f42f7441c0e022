"""Video: probing, and frames chosen by rule, upright, in constant memory.

Axes: h rows, w columns, n frames. Pixels are 8 bit RGB.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.errors import InputError, MediaError
from earsight.media.decode import Tally, decoded_packets, track_seconds
from earsight.media.frame_rules import EveryFrame, FpsFilter, FrameRule, OutputRate
from earsight.media.guard import (
    MAX_BYTES_IN_MEMORY,
    MAX_GAP_SECONDS,
    frame_seconds,
    open_container,
    picture_stream,
    reading,
    refuse_gap,
    refuse_length,
    refuse_size,
    refuse_standstill,
)
from earsight.media.orientation import Developer, Orientation

if TYPE_CHECKING:
    import av.container
    import av.video.frame
    import av.video.stream

__all__ = [
    "EveryFrame",
    "FpsFilter",
    "Frame",
    "FrameRule",
    "Frames",
    "OutputRate",
    "VideoInfo",
    "probe",
    "read_frames",
    "stream_frames",
]
VIDEO = "a video"


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What a video's header and first frame say.

    Width and height are those of the upright picture. `average_fps` of a video with variable frame
    rate is a mean. `num_frames_declared` is None where the header does not say.
    """

    path: Path
    container: str
    width: int
    height: int
    rotation_degrees: int
    average_fps: Fraction
    duration_seconds: float
    num_frames_declared: int | None
    video_codec: str
    has_audio: bool
    audio_codec: str | None
    audio_rate_hz: int | None
    audio_channels: int | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture. Time counts from the first shown picture; `index` from 0 in the output."""

    pixels: UInt8[Tensor, "h w 3"]
    time_seconds: float
    index: int


@dataclass(frozen=True, slots=True)
class Frames:
    """Pictures in memory with their times; `fps` is None for a video's own, uneven times."""

    pixels: UInt8[Tensor, "n h w 3"]
    times_seconds: Float[Tensor, " n"]
    fps: Fraction | None


def probe(path: str | Path) -> VideoInfo:
    """Describe a video from its header and its first frame.

    Raises MediaError for anything that is not a readable video.
    """
    with open_container(path, expected=VIDEO) as container:
        file = Path(container.name)
        with reading(file, expected=VIDEO):
            stream = picture_stream(container, file)
            sound = next(iter(container.streams.audio), None)
            first = next(_shown(container, stream, Tally(container, stream, file)), None)
            if first is None:
                raise MediaError(f"expected a video, but no frame of {file} can be decoded")
            orientation = Orientation.of(first)
            width, height = orientation.size(first.width, first.height)
            return VideoInfo(
                path=file,
                container=container.format.name,
                width=width,
                height=height,
                rotation_degrees=orientation.rotation_degrees,
                average_fps=1 / frame_seconds(stream),
                duration_seconds=track_seconds(container, stream, file),
                num_frames_declared=stream.frames or None,
                video_codec=stream.codec_context.codec.canonical_name,
                has_audio=sound is not None,
                audio_codec=sound.codec_context.codec.canonical_name if sound else None,
                audio_rate_hz=sound.sample_rate if sound else None,
                audio_channels=sound.layout.nb_channels if sound else None,
            )


def stream_frames(
    path: str | Path, *, rule: FrameRule, size: tuple[int, int] | None = None
) -> Iterator[Frame]:
    """Upright frames chosen by `rule`, one by one; memory does not grow with length.

    `size` is the (width, height) to scale to (area averaging); without it frames keep the size of
    the first. Repeated frames share their pixels. Raises MediaError for unreadable files, for
    sizes, lengths and pauses beyond the limits in `guard`, and at the end for a video that is cut
    short or damaged.
    """
    if size is not None and not (1 <= size[0] <= 16384 and 1 <= size[1] <= 16384):
        raise InputError(f"size must be (width, height) of 1 to 16384 pixels, got {size}")
    with open_container(path, expected=VIDEO) as container:
        file = Path(container.name)
        with reading(file, expected=VIDEO):
            yield from _selected(container, file, rule, size)


def read_frames(
    path: str | Path, *, rule: FrameRule, size: tuple[int, int] | None = None
) -> Frames:
    """All frames chosen by `rule` in memory.

    Raises MediaError as `stream_frames` does, and where they would not fit MAX_BYTES_IN_MEMORY.
    """
    pixels: list[Tensor] = []
    times: list[float] = []
    num_bytes = 0
    for frame in stream_frames(path, rule=rule, size=size):
        num_bytes += frame.pixels.numel()
        if num_bytes > MAX_BYTES_IN_MEMORY:
            raise MediaError(
                f"the frames of {path} do not fit the {MAX_BYTES_IN_MEMORY / 2**30:.0f} GiB for "
                "one video in memory: give a smaller size, or read it by stream_frames"
            )
        pixels.append(frame.pixels)
        times.append(frame.time_seconds)
    return Frames(torch.stack(pixels), torch.tensor(times), rule.fps)


def _selected(
    container: "av.container.InputContainer",
    path: Path,
    rule: FrameRule,
    size: tuple[int, int] | None,
) -> Iterator[Frame]:
    stream = picture_stream(container, path)
    spacing = frame_seconds(stream)
    selector = rule.start(spacing)
    tally = Tally(container, stream, path)
    clock = _Clock(path, _origin_seconds(container), spacing)
    develop = Developer(size)
    index = 0
    previous: av.video.frame.VideoFrame | None = None
    first_time = Fraction(0)

    def emit(
        frame: "av.video.frame.VideoFrame", num_copies: int, time: Fraction
    ) -> Iterator[Frame]:
        nonlocal index
        for _ in range(num_copies):
            seconds = time - first_time if rule.fps is None else index / rule.fps
            yield Frame(develop(frame), float(seconds), index)
            index += 1

    for frame in _shown(container, stream, tally):
        refuse_size(path, frame.width, frame.height)
        time = clock.time(frame)
        copies = selector.see(time)
        if previous is None:
            first_time = time
        else:
            yield from emit(previous, copies.previous, time)
        yield from emit(frame, copies.new, time)
        previous = frame
    if previous is not None:
        yield from emit(previous, selector.finish(clock.end), clock.end)
    clock.judge(tally)


class _Clock:
    """Exact, never decreasing times of frames since the container's start."""

    def __init__(self, path: Path, origin: Fraction, spacing: Fraction) -> None:
        self._path = path
        self._origin = origin
        self._spacing = spacing
        self._first = self._last = Fraction(0)
        self._num_frames = 0
        self.end = Fraction(0)

    def time(self, frame: "av.video.frame.VideoFrame") -> Fraction:
        """Time of the next frame. Raises MediaError for pauses and lengths beyond the limits."""
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * frame.time_base - self._origin
        else:
            time = self.end
        if not self._num_frames:
            self._first = self._last = time
        self._num_frames += 1
        time = max(time, self._last)
        refuse_gap(self._path, before=float(self._last), after=float(time))
        refuse_length(self._path, float(time - self._first))
        self._last = time
        length = self._spacing
        if frame.duration and frame.time_base is not None:
            length = min(frame.duration * frame.time_base, Fraction(MAX_GAP_SECONDS))
        self.end = time + length
        return time

    def judge(self, tally: Tally) -> None:
        """Raise MediaError for a video that was cut short, is damaged or has no duration."""
        tally.judge(decoded_seconds=float(self.end - self._first))
        if not self._num_frames:
            raise MediaError(f"expected a video, but no frame of {self._path} can be decoded")
        refuse_standstill(
            self._path,
            num_frames=self._num_frames,
            span_seconds=float(self._last - self._first),
        )


def _shown(
    container: "av.container.InputContainer", stream: "av.video.stream.VideoStream", tally: Tally
) -> Iterator["av.video.frame.VideoFrame"]:
    stream.thread_type = "AUTO"
    for frames, _ in decoded_packets(container, stream, tally):
        yield from cast("list[av.video.frame.VideoFrame]", frames)


def _origin_seconds(container: "av.container.InputContainer") -> Fraction:
    """Time that FFmpeg counts as zero: where the earliest stream begins."""
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))
