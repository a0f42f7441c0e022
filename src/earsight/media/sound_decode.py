"""Sound tracks to float samples at their own rate, by PyAV or, for rarer formats, by libsndfile.

Axes: c channels, s samples.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import MediaError
from earsight.extras import require
from earsight.media.decode import Tally, decoded_packets
from earsight.media.guard import (
    MAX_CHANNELS,
    MAX_GAP_SECONDS,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    is_moving,
    local_file,
    open_container,
    reading,
    refuse_length,
    sound_stream,
)

if TYPE_CHECKING:
    import av.audio.frame
    import av.container

SOUND = "sound"
# full scale of the integer sample formats; unsigned 8 bit is shifted by one half first
_FULL_SCALE = {"uint8": 2.0**7, "int16": 2.0**15, "int32": 2.0**31}
# from so many separate channels on, PyAV's to_ndarray reads past the end of their table
_MIN_UNSAFE_PLANES = 8
_SNDFILE_BLOCK_SAMPLES = 2**16


def decoded_sound(path: str | Path) -> Iterator[tuple[Float[Tensor, "c s"], int]]:
    """Pieces of a file's first sound track with their rate in Hz, all of one rate and layout.

    Raises MediaError for what cannot be read, for NaN or infinity, and at the end for a file that
    is cut short or has no sample at all.
    """
    inspector = _Inspector(path)
    pieces = _av_sound(path) if _av_opens(path) else _sndfile_sound(path)
    for samples, rate_hz in pieces:
        inspector.see(samples, rate_hz)
        yield samples, rate_hz
    inspector.finish()


def ffmpeg16_samples(path: str | Path, *, rate_hz: int) -> Float[Tensor, "1 s"]:
    """First sound track as FFmpeg's own resampler gives it in 16 bit mono, scaled to [-1, 1]."""
    pieces: list[np.ndarray] = []
    inspector = _Inspector(path)
    with open_container(path, expected=SOUND) as container:
        import av

        file = Path(container.name)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
        with reading(file, expected=SOUND):
            stream = sound_stream(container, file)
            tally = Tally(container, stream, file)
            for frames, _ in decoded_packets(container, stream, tally):
                for frame in cast("list[av.audio.frame.AudioFrame]", frames):
                    inspector.see(_as_float(frame), frame.sample_rate)
                    pieces += [part.to_ndarray() for part in resampler.resample(frame)]
            pieces += [part.to_ndarray() for part in resampler.resample(None)]
    tally.judge(decoded_seconds=inspector.seconds)
    inspector.finish()
    samples = np.concatenate(pieces, axis=1)
    return torch.from_numpy(samples).to(torch.float32) / 2**15


def _av_opens(path: str | Path) -> bool:
    """Whether PyAV knows the container; otherwise libsndfile is asked."""
    try:
        with open_container(path, expected=SOUND):
            return True
    except MediaError as refusal:
        if refusal.__cause__ is None or not _sndfile_opens(path):
            raise
        return False


def _av_sound(path: str | Path) -> Iterator[tuple[Tensor, int]]:
    with open_container(path, expected=SOUND) as container:
        file = Path(container.name)
        stream = sound_stream(container, file)
        tally = Tally(container, stream, file)
        num_samples, rate_hz, num_channels = 0, 0, 0
        with reading(file, expected=SOUND):
            for frames, lost_seconds in decoded_packets(container, stream, tally):
                if lost_seconds and rate_hz:
                    # silence keeps what follows in time
                    silence = torch.zeros(num_channels, round(min(lost_seconds, 1.0) * rate_hz))
                    num_samples += silence.shape[1]
                    yield silence, rate_hz
                for frame in cast("list[av.audio.frame.AudioFrame]", frames):
                    samples = _as_float(frame)
                    if not rate_hz:
                        rate_hz, num_channels = frame.sample_rate, samples.shape[0]
                        samples = _begin_with_picture(container, file, frame, samples)
                    num_samples += samples.shape[1]
                    yield samples, frame.sample_rate
        tally.judge(decoded_seconds=num_samples / rate_hz if rate_hz else 0.0)


def _begin_with_picture(
    container: "av.container.InputContainer",
    path: Path,
    first: "av.audio.frame.AudioFrame",
    samples: Tensor,
) -> Tensor:
    """First samples of a video's track, preceded by silence or cut so that both begin together."""
    pictures = [s for s in container.streams.video if is_moving(s)]
    if not pictures or first.pts is None or first.time_base is None:
        return samples
    start = pictures[0].start_time
    picture_start = float(start * (pictures[0].time_base or 0)) if start is not None else 0.0
    delay_seconds = float(first.pts * first.time_base) - picture_start
    if abs(delay_seconds) > MAX_GAP_SECONDS:
        raise MediaError(
            f"{path}: sound and picture begin {abs(delay_seconds):.0f} s apart, the limit is "
            f"{MAX_GAP_SECONDS:.0f} s: its timestamps are damaged; export it again"
        )
    delay_samples = round(delay_seconds * first.sample_rate)
    if delay_samples >= 0:
        return torch.nn.functional.pad(samples, (delay_samples, 0))
    return samples[:, -delay_samples:]


def _as_float(frame: "av.audio.frame.AudioFrame") -> Float[Tensor, "c s"]:
    num_channels = frame.layout.nb_channels
    if frame.format.is_planar and num_channels >= _MIN_UNSAFE_PLANES:
        frame = _packed(frame)
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, num_channels).T
    samples = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    if values.dtype == np.uint8:
        samples = samples - 128.0
    return samples / _FULL_SCALE.get(values.dtype.name, 1.0)


def _packed(frame: "av.audio.frame.AudioFrame") -> "av.audio.frame.AudioFrame":
    """The same samples with channels interleaved."""
    import av

    packer = av.AudioResampler(frame.format.packed, frame.layout, frame.sample_rate)
    parts = [*packer.resample(frame), *packer.resample(None)]
    if len(parts) != 1 or parts[0].samples != frame.samples:
        raise MediaError(
            f"sound of {frame.layout.nb_channels} channels could not be interleaved: mix it to "
            f"fewer than {_MIN_UNSAFE_PLANES} channels first"
        )
    return parts[0]


class _Inspector:
    """Looks at decoded pieces and refuses those that are no usable sound."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None
        self.seconds = 0.0

    def see(self, samples: Float[Tensor, "c s"], rate_hz: int) -> None:
        """Raise MediaError for odd or changing rates and channels, and for NaN or infinity."""
        found = (samples.shape[0], rate_hz)
        channels_ok = 1 <= samples.shape[0] <= MAX_CHANNELS
        if not (channels_ok and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ):
            raise MediaError(
                f"expected sound of 1 to {MAX_CHANNELS} channels at {MIN_RATE_HZ} to "
                f"{MAX_RATE_HZ} Hz, but {self._path} states {_words(found)}: its header is damaged"
            )
        self._first = self._first or found
        if found != self._first:
            raise MediaError(
                f"{self._path} changes from {_words(self._first)} to {_words(found)} midway: "
                "split it there, or convert it to one rate and layout"
            )
        if not bool(torch.isfinite(samples).all()):
            raise MediaError(
                f"expected sound, but {self._path} holds NaN or infinity near "
                f"{self.seconds:.2f} s: it was written by a faulty program; make it again"
            )
        self.seconds += samples.shape[1] / rate_hz

    def finish(self) -> None:
        """Raise MediaError where there was no sample at all."""
        if not self.seconds:
            raise MediaError(
                f"expected sound, but {self._path} holds no sample: it may be cut short"
            )


def _words(layout: tuple[int, int]) -> str:
    return f"{layout[0]} channels at {layout[1]} Hz"


def _sndfile_opens(path: str | Path) -> bool:
    require("soundfile", extra="media", purpose="reading rarer sound formats")
    import soundfile

    try:
        with local_file(path, expected=SOUND).open("rb") as file, soundfile.SoundFile(file):
            return True
    except (soundfile.SoundFileError, TypeError, ValueError):
        return False


def _sndfile_sound(path: str | Path) -> Iterator[tuple[Tensor, int]]:
    import soundfile

    file = local_file(path, expected=SOUND)
    with (
        reading(file, expected=SOUND),
        file.open("rb") as content,
        soundfile.SoundFile(content) as sound,
    ):
        refuse_length(file, sound.frames / sound.samplerate)
        while True:
            block = sound.read(_SNDFILE_BLOCK_SAMPLES, dtype="float32", always_2d=True)
            if not len(block):
                break
            yield torch.from_numpy(np.ascontiguousarray(block.T)), sound.samplerate
