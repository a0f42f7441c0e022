"""Sound: reading it, also out of a video; the other jobs on sound are named here too.

Axes: c channels, s samples. Samples are float32 in [-1, 1].
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from earsight.errors import InputError, MediaError
from earsight.media.guard import MAX_BYTES_IN_MEMORY
from earsight.media.resample import resample, resample_stream
from earsight.media.sound_decode import decoded_sound, ffmpeg16_samples
from earsight.media.wave_write import write_audio
from earsight.media.waveform import Waveform, refuse_rate

__all__ = [
    "Waveform",
    "read_audio",
    "read_audio_ffmpeg16",
    "resample",
    "resample_stream",
    "stream_audio",
    "write_audio",
]


def read_audio(
    path: str | Path,
    *,
    rate_hz: int | None = None,
    mono: bool = False,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
) -> Waveform:
    """Read a sound file, or the sound track of a video, into memory.

    The range is cut out first, then mixed, then resampled. A range that reaches past the end is
    shorter. Everything before the range is decoded too, so that its samples are exact: walk
    through a long file by `stream_audio`.
    Raises MediaError for unreadable, empty, cut short or non-finite sound, and where the result
    would not fit MAX_BYTES_IN_MEMORY.
    """
    pieces: list[Tensor] = []
    num_bytes, rate = 0, 0
    blocks = stream_audio(
        path,
        rate_hz=rate_hz,
        mono=mono,
        start_seconds=start_seconds,
        duration_seconds=duration_seconds,
    )
    for block in blocks:
        num_bytes += block.samples.numel() * block.samples.element_size()
        if num_bytes > MAX_BYTES_IN_MEMORY:
            raise MediaError(
                f"{path} is longer than fits the {MAX_BYTES_IN_MEMORY / 2**30:.0f} GiB for "
                "one sound in memory: give duration_seconds, or read it by stream_audio"
            )
        pieces.append(block.samples)
        rate = block.rate_hz
    return Waveform(torch.cat(pieces, dim=1), rate)


def stream_audio(
    path: str | Path,
    *,
    rate_hz: int | None = None,
    mono: bool = False,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    block_seconds: float = 10.0,
) -> Iterator[Waveform]:
    """Read a sound piece by piece; memory does not grow with its length.

    All pieces but the last are `block_seconds` long. The track of a video begins with the picture:
    a late track is preceded by silence, an early one loses its start. Raises MediaError as
    `read_audio` does; what only shows at the end of a file (cut short, damaged) is raised there.
    """
    if start_seconds < 0 or (duration_seconds is not None and duration_seconds <= 0):
        raise InputError(
            f"a range needs a start of at least 0 s and a length above 0 s, got "
            f"{start_seconds} and {duration_seconds}"
        )
    if block_seconds <= 0:
        raise InputError(f"block_seconds must be above 0, got {block_seconds}")
    if rate_hz is not None:
        refuse_rate(rate_hz)
    pieces = _cut(path, start_seconds, duration_seconds)
    if mono:
        pieces = (piece.mono() for piece in pieces)
    if rate_hz is not None:
        pieces = resample_stream(pieces, rate_hz)
    return _regroup(pieces, block_seconds)


def read_audio_ffmpeg16(path: str | Path, *, rate_hz: int = 22050) -> Waveform:
    """Read a sound as the published preparation does: FFmpeg's resampler to mono in 16 bit.

    Samples are multiples of 1/32768. Source: RegNet and SpecVQGAN preparation scripts
    (`ffmpeg -ac 1 -ar 22050`), to within 1 of 32768. Raises MediaError as `read_audio` does.
    """
    refuse_rate(rate_hz)
    return Waveform(ffmpeg16_samples(path, rate_hz=rate_hz), rate_hz)


def _cut(
    path: str | Path, start_seconds: float, duration_seconds: float | None
) -> Iterator[Waveform]:
    """Decoded pieces of the wanted range, at the file's own rate."""
    position, rate, found = 0, 1, False
    for samples, rate in decoded_sound(path):
        first = round(start_seconds * rate)
        last = None if duration_seconds is None else first + round(duration_seconds * rate)
        begin = max(first - position, 0)
        end = samples.shape[1] if last is None else min(last - position, samples.shape[1])
        position += samples.shape[1]
        if begin < end:
            found = True
            yield Waveform(samples[:, begin:end], rate)
        if last is not None and position >= last:
            break
    if not found:
        raise MediaError(
            f"expected sound from {start_seconds:.3f} s on, but {path} ends at "
            f"{position / rate:.3f} s: choose an earlier start"
        )


def _regroup(pieces: Iterable[Waveform], block_seconds: float) -> Iterator[Waveform]:
    """The same sound in pieces of `block_seconds`, the last one shorter."""
    waiting: list[Tensor] = []
    num_waiting, rate = 0, 0
    for piece in pieces:
        rate = piece.rate_hz
        block = max(1, round(block_seconds * rate))
        waiting.append(piece.samples)
        num_waiting += piece.num_samples
        if num_waiting < block:
            continue
        joined = torch.cat(waiting, dim=1)
        num_whole = num_waiting // block * block
        for begin in range(0, num_whole, block):
            yield Waveform(joined[:, begin : begin + block], rate)
        waiting, num_waiting = [joined[:, num_whole:]], num_waiting - num_whole
    if num_waiting:
        yield Waveform(torch.cat(waiting, dim=1), rate)
