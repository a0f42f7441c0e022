"""Packets to frames, with a tally of what the decoder refused.

Real files hold a damaged packet now and then, above all at their start, and every player goes on.
So a refused packet is counted, not fatal; at the end the tally and the length that was promised
decide whether the file may pass (see `Tally.judge`).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from earsight.errors import MediaError
from earsight.media import riff

if TYPE_CHECKING:
    import av.container
    import av.stream
    from av.packet import Packet
    from av.stream import Stream

    AnyPacket = Packet[Stream]
else:
    AnyPacket = object  # the library's class takes no parameters at run time

TOLERATED_SHARE = 0.02
TOLERATED_SECONDS = 0.5
TOLERATED_PACKETS = 5


# formats whose header states the length exactly; the others' is an estimate from the bit rate
_EXACT_FORMATS = frozenset({"mov", "mp4", "matroska", "webm", "w64", "flac", "aiff", "caf"})
_CLOCK = re.compile(r"(\d{1,3}):(\d\d):(\d\d(?:\.\d{1,9})?)")


class Tally:
    """What was found of one stream, against what its file promises."""

    def __init__(
        self, container: "av.container.InputContainer", stream: "av.stream.Stream", path: Path
    ) -> None:
        self.path = path
        self.track_seconds, self.file_seconds = _promises(container, stream, path)
        self.file_end_seconds = 0.0
        self.num_packets = 0
        self.num_refused = 0
        self.broken_off: str | None = None

    def judge(self, *, decoded_seconds: float) -> None:
        """Raise MediaError when too much of the stream, or of the file's other tracks, is missing.

        Tolerated: an end that comes TOLERATED_SECONDS or TOLERATED_SHARE too early, and
        TOLERATED_PACKETS or TOLERATED_SHARE of packets that could not be decoded.
        """
        problems: list[str] = []
        if _falls_short(decoded_seconds, self.track_seconds):
            problems.append(
                f"its header promises {self.track_seconds:.2f} s, "
                f"only {decoded_seconds:.2f} s could be decoded"
            )
        elif _falls_short(self.file_end_seconds, self.file_seconds):
            problems.append(
                f"its header promises {self.file_seconds:.2f} s, "
                f"but it ends at {self.file_end_seconds:.2f} s"
            )
        elif self.broken_off is not None and self.track_seconds is None:
            problems.append(f"reading broke off after {decoded_seconds:.2f} s ({self.broken_off})")
        if self.num_refused > max(TOLERATED_PACKETS, TOLERATED_SHARE * self.num_packets):
            problems.append(f"{self.num_refused} of {self.num_packets} packets are damaged")
        if problems:
            raise MediaError(
                f"{self.path} is cut short or damaged: {'; '.join(problems)}; "
                "copy or export it again"
            )


def track_seconds(
    container: "av.container.InputContainer", stream: "av.stream.Stream", path: Path
) -> float:
    """Best knowledge, before decoding, of how long a track is; 0 where nothing is known."""
    return _promises(container, stream, path)[0] or (container.duration or 0) / 1e6


def _promises(
    container: "av.container.InputContainer", stream: "av.stream.Stream", path: Path
) -> tuple[float | None, float | None]:
    """Stated length of a track and of its file; None for what is not stated or only estimated."""
    if container.format.name == "wav":
        return riff.stated_seconds(path), None
    if not _EXACT_FORMATS & set(container.format.name.split(",")):
        return None, None
    file = container.duration / 1e6 if container.duration else None
    written = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base), file
    if written:  # Matroska's place for the length of one track
        hours, minutes, seconds = written.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds), file
    return None, file


def _falls_short(found_seconds: float, promised_seconds: float | None) -> bool:
    if promised_seconds is None:
        return False
    tolerated = max(TOLERATED_SECONDS, TOLERATED_SHARE * promised_seconds)
    return found_seconds < promised_seconds - tolerated


def demuxed_packets(
    container: "av.container.InputContainer", stream: "av.stream.Stream", tally: Tally
) -> Iterator[AnyPacket]:
    """Packets of `stream`; the last one is empty and flushes the decoder.

    A file that cannot be read on ends here; the tally remembers why.
    """
    import av.error

    # all tracks: where the file ends shows in the longest
    packets = container.demux()
    origin = (container.start_time or 0) / 1e6
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            tally.broken_off = error.strerror
            return
        if packet is None:
            return
        if packet.size and packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin
            tally.file_end_seconds = max(tally.file_end_seconds, end)
        # not packet.stream_index, which is 0 in the empty packet of every track
        if packet.stream.index == stream.index:
            tally.num_packets += bool(packet.size)
            yield packet


def decoded_packets(
    container: "av.container.InputContainer", stream: "av.stream.Stream", tally: Tally
) -> Iterator[tuple[list[object], float]]:
    """Frames of each packet of `stream`, and the packet's length in seconds if it was refused."""
    import av.error

    for packet in demuxed_packets(container, stream, tally):
        try:
            frames: list[object] = list(packet.decode())
        except av.error.FFmpegError:
            tally.num_refused += 1
            yield [], float((packet.duration or 0) * packet.time_base)
        else:
            yield frames, 0.0
