"""Video frames as the published ResNet-50 features saw them.

Frames are upright RGB, 21.5 a second by FFmpeg's `fps` filter. Differs from the official tool:
frames are not compressed by libx264 a second time.
Source: official repository v-iashin/video_features, branch specvqgan.

Axes: n frames, a, b picture.
"""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.extras import require

SHORTER_SIDE = 256
CROP = 224
CHANNEL_MEANS = (0.485, 0.456, 0.406)
CHANNEL_STDS = (0.229, 0.224, 0.225)


def resize_bilinear(
    pixels: UInt8[Tensor, "a b *c"], *, width: int, height: int
) -> UInt8[Tensor, "h w *c"]:
    """Pillow's bilinear scaling, which averages where it makes smaller and rounds to bytes.

    Raises MissingExtraError without Pillow.
    """
    require("PIL", extra="media", purpose="scaling frames")
    from PIL import Image

    picture = Image.fromarray(pixels.contiguous().numpy())
    scaled = picture.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(scaled))  # pyright: ignore[reportUnknownMemberType]


def centre_square(pixels: UInt8[Tensor, "a b 3"]) -> UInt8[Tensor, "c c 3"]:
    """The middle 224 x 224 of a frame whose shorter side was scaled to 256."""
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    # the longer side is cut down to a whole number, the offset is rounded half to even
    tall, wide = (SHORTER_SIDE * side // shorter for side in (height, width))
    scaled = resize_bilinear(pixels, width=wide, height=tall)
    top, left = round((tall - CROP) / 2), round((wide - CROP) / 2)
    return scaled[top : top + CROP, left : left + CROP]


def network_input(pixels: UInt8[Tensor, "a b 3"]) -> Float[Tensor, "3 c c"]:
    """One frame scaled, cropped and normalised for the network."""
    return normalised(centre_square(pixels))


def normalised(square: UInt8[Tensor, "c c 3"]) -> Float[Tensor, "3 c c"]:
    """A square from `centre_square` with ImageNet's mean and spread taken out per channel."""
    values = square.float() / 255
    means, stds = values.new_tensor(CHANNEL_MEANS), values.new_tensor(CHANNEL_STDS)
    return rearrange((values - means) / stds, "h w c -> c h w")
