"""Packets of a picture made ready for another container, their content untouched.

Containers differ in which times they store: Matroska has no decode times, transport streams begin
anywhere. Here every packet gets both, in order, counted from the first shown picture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from earsight.errors import MediaError
from earsight.media.decode import AnyPacket, Tally, demuxed_packets
from earsight.media.guard import frame_seconds, refuse_gap, refuse_length, refuse_standstill

if TYPE_CHECKING:
    import av.container
    import av.video.stream

# more than any coding reorders
_MAX_HELD_PACKETS = 64


class PictureCopy:
    """Iterates over the packets of a picture stream; `end_seconds` is how far it has come."""

    def __init__(
        self,
        container: "av.container.InputContainer",
        stream: "av.video.stream.VideoStream",
        path: Path,
    ) -> None:
        self._path = path
        self._tally = Tally(container, stream, path)
        self._packets = demuxed_packets(container, stream, self._tally)
        time_base = stream.time_base
        if time_base is None:
            raise MediaError(f"{path} does not say in which unit its times are: export it again")
        self._time_base = time_base
        self._spacing = max(1, round(frame_seconds(stream) / time_base))
        self._start = stream.start_time
        self._last: int | None = None
        self._num_shown = 0
        self._first_shown = self._last_shown = 0.0
        self.end_seconds = 0.0

    def __iter__(self) -> Iterator[AnyPacket]:
        """Packets in decode order. Raises MediaError at the end where too much is missing."""
        for packet in self._with_decode_times():
            if self._start is None:
                self._start = packet.pts or packet.dts or 0
            dts = (packet.dts or 0) - self._start
            pts = dts if packet.pts is None else packet.pts - self._start
            if not packet.is_discard:
                self._advance(pts, packet.duration or self._spacing)
            # a step back would be refused by every container
            dts = dts if self._last is None else max(dts, self._last + 1)
            packet.dts, packet.pts = dts, max(dts, pts)
            self._last = dts
            yield packet
        self._tally.judge(decoded_seconds=self.end_seconds)
        if not self._num_shown:
            raise MediaError(f"expected a video, but {self._path} holds no picture packet")
        refuse_standstill(
            self._path,
            num_frames=self._num_shown,
            span_seconds=self._last_shown - self._first_shown,
        )

    def _advance(self, pts: int, num_ticks: int) -> None:
        seconds = float(pts * self._time_base)
        length = float(num_ticks * self._time_base)
        refuse_gap(self._path, before=self.end_seconds, after=seconds)
        refuse_gap(self._path, before=0.0, after=length)
        self._first_shown = min(self._first_shown, seconds) if self._num_shown else seconds
        self._last_shown = max(self._last_shown, seconds) if self._num_shown else seconds
        self._num_shown += 1
        self.end_seconds = max(self.end_seconds, seconds + length)
        refuse_length(self._path, self.end_seconds)

    def _with_decode_times(self) -> Iterator[AnyPacket]:
        """Packets whose missing decode times are counted back from the next one that is known."""
        held: list[AnyPacket] = []
        for packet in self._packets:
            if not packet.size:
                continue
            held.append(packet)
            if packet.dts is not None or len(held) > _MAX_HELD_PACKETS:
                yield from self._dated(held)
                held = []
        yield from self._dated(held)

    def _dated(self, held: list[AnyPacket]) -> Iterator[AnyPacket]:
        if not held:
            return
        known = held[-1].dts
        if known is not None:
            times = [known - back * self._spacing for back in reversed(range(len(held)))]
        else:
            # none anywhere: the shown times in rising order, early enough for every packet
            shown = [packet.pts or 0 for packet in held]
            delay = max(rising - own for rising, own in zip(sorted(shown), shown, strict=True))
            times = [time - delay for time in sorted(shown)]
        for packet, time in zip(held, times, strict=True):
            packet.dts = time
            yield packet
