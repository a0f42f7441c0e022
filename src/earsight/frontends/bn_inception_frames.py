"""Video frames and flow as the published BN-Inception features saw them.

Frames are upright RGB, 21.5 a second by FFmpeg's `-r` rule: 217 from ten seconds. The official
script scales them to 340 x 256, stores them as JPEG pictures, and squeezes the whole picture to
224 x 224. Differs from it: the video is not compressed by libx264 a second time.
Source: official repository PeihaoChen/regnet.

Axes: a, b picture.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.extras import require
from earsight.frontends.resnet50_frames import resize_bilinear
from earsight.frontends.tvl1_flow import TVL1Flow, flow_bytes

STORED_WIDTH, STORED_HEIGHT = 340, 256
INPUT_SIDE = 224
JPEG_QUALITY = 95
BLUE_GREEN_RED_MEANS = (104.0, 117.0, 128.0)
FLOW_MEAN = 128.0
_PURPOSE = "BN-Inception frames"


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """What the colour and the flow network take for one frame."""

    colour: Float[Tensor, "3 a a"]
    flow: Float[Tensor, "2 a a"]


def scaled_frame(pixels: UInt8[Tensor, "a b 3"]) -> UInt8[Tensor, "c d 3"]:
    """The frame at 340 x 256 by OpenCV's bilinear rule, which does not average.

    Raises MissingExtraError without OpenCV.
    """
    cv2: Any = require("cv2", extra="flow", purpose=_PURPOSE)
    size = (STORED_WIDTH, STORED_HEIGHT)
    return torch.as_tensor(
        cv2.resize(pixels.contiguous().numpy(), size, interpolation=cv2.INTER_LINEAR)
    )


def grey_frame(pixels: UInt8[Tensor, "a b 3"]) -> UInt8[Tensor, "a b"]:
    """The frame in OpenCV's grey."""
    cv2: Any = require("cv2", extra="flow", purpose=_PURPOSE)
    return torch.as_tensor(cv2.cvtColor(pixels.contiguous().numpy(), cv2.COLOR_RGB2GRAY))


def jpeg_round_trip(pixels: UInt8[Tensor, "a b *c"]) -> UInt8[Tensor, "a b *c"]:
    """The picture after OpenCV wrote it as JPEG (quality 95) and Pillow read it; RGB or grey."""
    cv2: Any = require("cv2", extra="flow", purpose=_PURPOSE)
    require("PIL", extra="media", purpose=_PURPOSE)
    import io

    from PIL import Image

    swapped = pixels.flip(-1) if pixels.ndim == 3 else pixels  # OpenCV writes B, G, R
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", swapped.contiguous().numpy(), options)
    with Image.open(io.BytesIO(encoded.tobytes())) as picture:
        return torch.as_tensor(np.array(picture))


def colour_input(stored: UInt8[Tensor, "a b 3"]) -> Float[Tensor, "3 c c"]:
    """A stored picture squeezed to 224 x 224: blue, green, red, 0 to 255, minus the means."""
    squeezed = resize_bilinear(stored, width=INPUT_SIDE, height=INPUT_SIDE).flip(-1).float()
    centred = squeezed - squeezed.new_tensor(BLUE_GREEN_RED_MEANS)
    return rearrange(centred, "h w c -> c h w")


def flow_input(stored: UInt8[Tensor, "a b 2"]) -> Float[Tensor, "2 c c"]:
    """Stored flow pictures, right then down, squeezed to 224 x 224, minus 128."""
    squeezed = [
        resize_bilinear(stored[..., axis], width=INPUT_SIDE, height=INPUT_SIDE) for axis in (0, 1)
    ]
    return torch.stack(squeezed).float() - FLOW_MEAN


def colour_inputs(frames: Iterable[UInt8[Tensor, "a b 3"]]) -> Iterator[Float[Tensor, "3 c c"]]:
    """Colour input of every frame but the first.

    The official counter starts at 1 for the first frame and again for the second, which
    overwrites it: N frames leave N - 1 pictures, and picture k shows frame k + 1.
    """
    for number, pixels in enumerate(frames):
        if number:
            yield colour_input(jpeg_round_trip(scaled_frame(pixels)))


def both_inputs(frames: Iterable[UInt8[Tensor, "a b 3"]]) -> Iterator[NetworkInputs]:
    """Colour input of every frame but the first, and flow from the frame before to it.

    Takes about a third of a second per frame, nearly all of it for the flow.
    """
    solver = TVL1Flow()
    earlier = None
    for pixels in frames:
        scaled = scaled_frame(pixels)
        later = grey_frame(scaled)
        if earlier is not None:
            levels = flow_bytes(solver(earlier, later))
            stored = torch.stack([jpeg_round_trip(each) for each in levels.unbind(-1)], dim=-1)
            yield NetworkInputs(colour_input(jpeg_round_trip(scaled)), flow_input(stored))
        earlier = later
