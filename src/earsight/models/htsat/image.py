"""Spectrograms as square pictures, and back.

Axes: b clips, t frames, m mel bands, p picture side, d width, r rows, c columns, k chunks.
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError


def stretched(
    x: Float[Tensor, "b t m"], *, num_frames: int, num_bands: int
) -> Float[Tensor, "b t2 m2"]:
    """`x` with axes that are too short enlarged, bicubic with the corners kept in place.

    The published network stretches where its paper speaks of padding with zeros. Raises InputError
    for a spectrogram that is larger than asked for.
    """
    if x.shape[1] > num_frames or x.shape[2] > num_bands or not x.shape[1]:
        raise InputError(
            f"expected 1 to {num_frames} frames and up to {num_bands} bands, got {x.shape[1]} and "
            f"{x.shape[2]}"
        )
    if x.shape[1] < num_frames:
        x = _bicubic(x, num_frames, x.shape[2])
    return _bicubic(x, num_frames, num_bands) if x.shape[2] < num_bands else x


def fold(x: Float[Tensor, "b t m"], *, num_chunks: int) -> Float[Tensor, "b r c"]:
    """Time cut into chunks that are stacked below each other; within a chunk rows are bands.

    Source: Chen et al., 2022, sec. 2.1.
    """
    return rearrange(x, "b (k c) m -> b (k m) c", k=num_chunks)


def unfold(x: Float[Tensor, "b r c d"], *, num_chunks: int) -> Float[Tensor, "b d r2 c2"]:
    """A map of tokens laid out in time again: rows are bands, columns run through all chunks."""
    return rearrange(x, "b (k r) c d -> b d r (k c)", k=num_chunks)


def repeated(x: Float[Tensor, "b t m"], *, max_frames: int) -> Float[Tensor, "b t2 m"]:
    """A short spectrogram one after the other, as often as it fits into `max_frames`."""
    return x.repeat(1, max(1, max_frames // x.shape[1]), 1)


def crops(x: Float[Tensor, "b t m"], *, max_frames: int) -> list[Float[Tensor, "b n m"]]:
    """Overlapping parts of a spectrogram longer than a picture, each of at most `max_frames`.

    Up to about twice `max_frames` they are the published ones: half the frames, every quarter of
    them. Beyond, where the published network has no rule, whole pictures every half picture, the
    last one flush with the end.
    """
    num_frames = x.shape[1]
    size, step = (num_frames - 1) // 2, (num_frames - 1) // 4
    if size <= max_frames:
        starts = list(range(0, num_frames - size - 1, step))
    else:
        size = max_frames
        starts = whole_starts(num_frames, size)
    return [x[:, start : start + size] for start in starts]


def whole_starts(num_frames: int, size: int) -> list[int]:
    """First frames of parts of `size` every half of it, the last one flush with the end."""
    last = max(0, num_frames - size)
    return [*range(0, last, max(1, size // 2)), last]


def _bicubic(
    x: Float[Tensor, "b t m"], num_frames: int, num_bands: int
) -> Float[Tensor, "b t2 m2"]:
    large = functional.interpolate(
        rearrange(x, "b t m -> b 1 t m"),
        (num_frames, num_bands),
        mode="bicubic",
        align_corners=True,
    )
    return rearrange(large, "b 1 t m -> b t m")
