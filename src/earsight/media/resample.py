"""Resampling by the soxr library, whole or piece by piece with the same result.

Axes: c channels, s samples in, t samples out.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.extras import require
from earsight.media.waveform import Waveform, refuse_rate


class StreamResampler:
    """Changes the rate of a sound that arrives in pieces; memory does not grow with its length.

    Quality is soxr's "VHQ" (linear phase, 28 bit). How the sound is cut into pieces does not change
    the result.
    """

    def __init__(self, *, from_hz: int, to_hz: int, num_channels: int) -> None:
        refuse_rate(from_hz)
        refuse_rate(to_hz)
        require("soxr", extra="media", purpose="resampling")
        import soxr

        self._stream = soxr.ResampleStream(
            from_hz, to_hz, num_channels, dtype="float32", quality="VHQ"
        )
        self._num_channels = num_channels

    def push(self, samples: Float[Tensor, "c s"]) -> Float[Tensor, "c t"]:
        """Next piece in, whatever is ready out (possibly nothing)."""
        return self._run(samples, last=False)

    def finish(self) -> Float[Tensor, "c t"]:
        """The rest, once no piece is left."""
        return self._run(torch.zeros(self._num_channels, 0), last=True)

    def _run(self, samples: Tensor, *, last: bool) -> Tensor:
        interleaved = np.ascontiguousarray(samples.detach().cpu().T.numpy())
        if self._num_channels == 1:
            interleaved = interleaved[:, 0]
        changed = self._stream.resample_chunk(interleaved, last=last)
        return torch.from_numpy(changed.reshape(-1, self._num_channels)).T.contiguous()


def resample(wave: Waveform, rate_hz: int) -> Waveform:
    """Change the sample rate by soxr's best quality; the length is kept to half a sample.

    Raises InputError for rates that no sound has, and for NaN or infinity.
    """
    if not bool(torch.isfinite(wave.samples).all()):
        raise InputError("cannot resample a sound that holds NaN or infinity")
    pieces = [piece.samples for piece in resample_stream(iter([wave]), rate_hz)]
    return Waveform(torch.cat(pieces, dim=1), rate_hz)


def resample_stream(pieces: Iterator[Waveform], rate_hz: int) -> Iterator[Waveform]:
    """`resample` for a sound that comes in pieces; the result does not depend on the cuts."""
    resampler: StreamResampler | None = None
    for piece in pieces:
        if piece.rate_hz == rate_hz:
            yield piece
            continue
        if resampler is None:
            resampler = StreamResampler(
                from_hz=piece.rate_hz, to_hz=rate_hz, num_channels=piece.num_channels
            )
        yield Waveform(resampler.push(piece.samples), rate_hz)
    if resampler is not None:
        yield Waveform(resampler.finish(), rate_hz)
