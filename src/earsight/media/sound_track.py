"""A sound track that is encoded beside a picture, piece by piece as the picture advances.

Axes: c channels, s samples.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Literal, cast

import torch
from einops import rearrange
from torch import Tensor

from earsight.errors import InputError
from earsight.media.resample import resample_stream
from earsight.media.wave_write import sane_samples
from earsight.media.waveform import Waveform

if TYPE_CHECKING:
    import av.container
    from av.audio.stream import AudioStream

SoundCodec = Literal["aac", "opus"]
_ENCODERS: dict[SoundCodec, str] = {"aac": "aac", "opus": "libopus"}
_RATES_HZ: dict[SoundCodec, frozenset[int]] = {
    "aac": frozenset(
        {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
    ),
    "opus": frozenset({48000, 24000, 16000, 12000, 8000}),
}
_FALLBACK_RATE_HZ = 48000
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
# FFmpeg's reordering for these numbers of channels is not undone by its decoder
_OPUS_DISORDERED = (5, 7)
_BITS_PER_SECOND_PER_CHANNEL = 96_000
_FRAME_SECONDS = 0.5


class SoundTrack:
    """Encodes a sound into a container; `feed` as the picture advances, then `finish`."""

    def __init__(
        self,
        container: "av.container.OutputContainer",
        sound: Iterable[Waveform],
        codec: SoundCodec,
    ) -> None:
        """Look at the first piece and add the stream.

        Rates that the codec does not know become 48 kHz. Raises InputError for no sound at all or
        more than 8 channels.
        """
        pieces = iter(sound)
        first = next(pieces, None)
        if first is None:
            raise InputError("no sound for the video: not even one piece was given")
        if not 1 <= first.num_channels <= len(_LAYOUTS):
            raise InputError(
                f"a video's sound has 1 to {len(_LAYOUTS)} channels, got {first.num_channels}: "
                "mix it down"
            )
        if codec == "opus" and first.num_channels in _OPUS_DISORDERED:
            raise InputError(
                f"Opus sound of {first.num_channels} channels would come back with its channels "
                "interchanged: use AAC in .mp4 or .mkv, or mix it down"
            )
        self._rate_hz = first.rate_hz if first.rate_hz in _RATES_HZ[codec] else _FALLBACK_RATE_HZ
        self._num_channels = first.num_channels
        self._layout = _LAYOUTS[first.num_channels - 1]
        self._pieces = _checked(first, chain([first], pieces), self._rate_hz)
        self._waiting = torch.zeros(self._num_channels, 0)
        self._position = 0
        self._container = container
        self._stream = cast(
            "AudioStream", container.add_stream(_ENCODERS[codec], rate=self._rate_hz)
        )
        self._stream.codec_context.layout = self._layout
        self._stream.codec_context.bit_rate = _BITS_PER_SECOND_PER_CHANNEL * self._num_channels

    def feed(self, until_seconds: float) -> None:
        """Encode up to a time in whole half seconds; silence once the sound has ended."""
        step = round(_FRAME_SECONDS * self._rate_hz)
        while self._position + step <= until_seconds * self._rate_hz:
            self._encode(self._take(step))

    def finish(self, length_seconds: float) -> None:
        """Encode the rest so that the track is `length_seconds` long, and close it."""
        self.feed(length_seconds)
        rest = round(length_seconds * self._rate_hz) - self._position
        if rest > 0:
            self._encode(self._take(rest))
        self._container.mux(self._stream.encode(None))

    def _take(self, num_samples: int) -> Tensor:
        """Next samples; zeros behind the end of the sound."""
        parts = [self._waiting]
        num_held = self._waiting.shape[1]
        while num_held < num_samples:
            piece = next(self._pieces, None)
            if piece is None:
                parts.append(torch.zeros(self._num_channels, num_samples - num_held))
                break
            parts.append(piece)
            num_held += piece.shape[1]
        held = torch.cat(parts, dim=1)
        self._waiting = held[:, num_samples:]
        return held[:, :num_samples]

    def _encode(self, samples: Tensor) -> None:
        import av

        # packed, since PyAV reads past the end of eight separate channels
        packed = rearrange(samples, "c s -> 1 (s c)").contiguous().numpy()
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._rate_hz
        frame.pts = self._position
        frame.time_base = Fraction(1, self._rate_hz)
        self._position += samples.shape[1]
        self._container.mux(self._stream.encode(frame))


def _checked(first: Waveform, pieces: Iterable[Waveform], rate_hz: int) -> Iterator[Tensor]:
    """Samples at the track's rate, within full scale."""
    sane = (Waveform(sane_samples(piece, first), piece.rate_hz) for piece in pieces)
    for piece in resample_stream(sane, rate_hz):
        yield piece.samples.clamp(-1.0, 1.0)
