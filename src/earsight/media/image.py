"""Still pictures.

Axes: h rows, w columns.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from earsight.errors import MediaError
from earsight.extras import require
from earsight.media.guard import local_file, refuse_size

if TYPE_CHECKING:
    import PIL.Image

PICTURE = "a picture"
# formats whose readers run nothing and open nothing else (EPS, for one, calls Ghostscript)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def read_image(path: str | Path) -> UInt8[Tensor, "h w 3"]:
    """Read a picture as upright 8 bit RGB: orientation tag applied, transparency dropped.

    Of an animation the first picture is read; 16 bit grey is scaled down. Raises MediaError for
    unreadable files, and for sizes beyond the limits in `guard` before any pixel is decoded.
    """
    file = local_file(path, expected=PICTURE)
    require("PIL", extra="media", purpose="reading pictures")
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # sizes are refused below, damaged notes inside a file (EXIF) do not concern us
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_FORMATS) as image:
                refuse_size(file, *image.size)
                pixels = _eight_bit(ImageOps.exif_transpose(image))
    except MediaError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise MediaError(
            f"expected {PICTURE} ({', '.join(_FORMATS)}), but {file} cannot be read as one "
            f"({str(error).splitlines()[0] or type(error).__name__}): it may be damaged, cut short "
            "or of another kind than its name says"
        ) from error
    return torch.from_numpy(pixels)


def _eight_bit(image: "PIL.Image.Image") -> np.ndarray:
    """RGB pixels; Pillow's own conversion would clip 16 bit grey instead of scaling it."""
    if image.mode.startswith("I"):
        grey = np.asarray(image, dtype=np.int64).clip(0, 2**16 - 1) // 2**8
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))
