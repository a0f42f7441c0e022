"""Resampling by the soxr library, whole or piece by piece with the same result.

Axes: c channels, s samples in, t samples out.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.extras import require
from earsight.media.guard import MAX_RATE_HZ, MIN_RATE_HZ


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


def refuse_rate(rate_hz: int) -> None:
    """Raise InputError for a sample rate that no sound has."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(f"sample rate must be {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, got {rate_hz}")
