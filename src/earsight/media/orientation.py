"""How a decoded frame must be turned to stand upright, from its display matrix.

Axes: h rows, w columns.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

if TYPE_CHECKING:
    import av.video.frame
    from av.sidedata.sidedata import SideDataContainer

_MATRIX_BYTES = 36


@dataclass(frozen=True, kw_only=True, slots=True)
class Orientation:
    """Swap of axes, then mirroring of each: one of the eight ways a picture can lie."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of(cls, frame: "av.video.frame.VideoFrame") -> "Orientation":
        """Orientation nearest to a frame's display matrix; upright without one.

        The matrix maps (x, y) to (a x + c y, b x + d y), y downwards.
        """
        matrix = _display_matrix(frame)
        if matrix is None:
            # counter-clockwise in the library's words
            return _TURNED[round(frame.rotation / 90) % 4]
        a, b, _, c, d = matrix
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, flip_columns=c < 0, flip_rows=b < 0)
        return cls(flip_columns=a < 0, flip_rows=d < 0)

    @property
    def rotation_degrees(self) -> int:
        """Turn clockwise, 0 to 270, that makes the picture upright; a mirrored one counts too."""
        if self.transpose:
            return 90 if self.flip_columns else 270
        return 180 if self.flip_rows else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after turning; its own inverse."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turn an array of (rows, columns, ...)."""
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        if self.flip_rows:
            pixels = pixels[::-1]
        return pixels[:, ::-1] if self.flip_columns else pixels


# by quarter turns counter-clockwise
_TURNED = (
    Orientation(),
    Orientation(transpose=True, flip_rows=True),
    Orientation(flip_rows=True, flip_columns=True),
    Orientation(transpose=True, flip_columns=True),
)


def _display_matrix(frame: "av.video.frame.VideoFrame") -> tuple[int, int, int, int, int] | None:
    """First five numbers of the display matrix; None where the library cannot show it."""
    # annotated as a plain dict by the library
    container = cast("SideDataContainer", frame.side_data)
    try:
        data = bytes(container["DISPLAYMATRIX"])
    except (KeyError, ValueError):  # none, or one of the frame's other entries is not known to PyAV
        return None
    return struct.unpack("=5i", data[:20]) if len(data) == _MATRIX_BYTES else None


class Developer:
    """Turns decoded frames into upright RGB of one size; the last result is kept for repeats."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        """`size` is the (width, height) to scale to by area averaging; None: that of the first."""
        from av.video.reformatter import VideoReformatter

        self._size = size
        # one for all frames: each frame's own would start threads of its own
        self._reformatter = VideoReformatter()
        self._frame: av.video.frame.VideoFrame | None = None
        self._pixels = torch.zeros(0, 0, 3, dtype=torch.uint8)

    def __call__(self, frame: "av.video.frame.VideoFrame") -> UInt8[Tensor, "h w 3"]:
        """Pixels of `frame`; not to be changed in place."""
        if frame is not self._frame:
            orientation = Orientation.of(frame)
            self._size = self._size or orientation.size(frame.width, frame.height)
            width, height = orientation.size(*self._size)
            scaled = (width, height) != (frame.width, frame.height)
            picture = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="rgb24",
                interpolation="AREA" if scaled else None,
                threads=1,
            )
            pixels = orientation.apply(picture.to_ndarray())
            self._pixels = torch.from_numpy(np.ascontiguousarray(pixels))
            self._frame = frame
        return self._pixels
