"""Packets to frames, with a tally of what the decoder refused.

Real files hold a damaged packet now and then, above all at their start, and every player goes on.
So a refused packet is counted, not fatal; at the end the tally and the length that was promised
decide whether the file may pass (see `Tally.judge`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earsight.errors import MediaError

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


@dataclass
class Tally:
    """What was decoded of one stream, and what was not."""

    path: Path
    num_packets: int = 0
    num_refused: int = 0
    broken_off: str | None = None

    def judge(self, *, decoded_seconds: float, promised_seconds: float | None) -> None:
        """Raise MediaError when too much of the stream is missing.

        Tolerated: an end that comes TOLERATED_SECONDS or TOLERATED_SHARE too early, and
        TOLERATED_PACKETS or TOLERATED_SHARE of packets that could not be decoded.
        """
        problems: list[str] = []
        if promised_seconds is not None:
            tolerated = max(TOLERATED_SECONDS, TOLERATED_SHARE * promised_seconds)
            if decoded_seconds < promised_seconds - tolerated:
                problems.append(
                    f"its header promises {promised_seconds:.2f} s, "
                    f"only {decoded_seconds:.2f} s could be decoded"
                )
        elif self.broken_off is not None:
            problems.append(f"reading broke off after {decoded_seconds:.2f} s ({self.broken_off})")
        if self.num_refused > max(TOLERATED_PACKETS, TOLERATED_SHARE * self.num_packets):
            problems.append(f"{self.num_refused} of {self.num_packets} packets are damaged")
        if problems:
            raise MediaError(
                f"{self.path} is cut short or damaged: {'; '.join(problems)}; "
                "copy or export it again"
            )


def demuxed_packets(
    container: "av.container.InputContainer", stream: "av.stream.Stream", tally: Tally
) -> Iterator[AnyPacket]:
    """Packets of `stream`; the last one is empty and flushes the decoder.

    A file that cannot be read on ends here; the tally remembers why.
    """
    import av.error

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            tally.broken_off = error.strerror
            return
        if packet is None:
            return
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
