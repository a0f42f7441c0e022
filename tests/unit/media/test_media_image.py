"""Pictures: orientation, depths, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from media_clips import picture
from PIL import Image

from earsight.errors import MediaError
from earsight.media.image import read_image


@pytest.mark.parametrize("name", ["p.png", "p.bmp", "p.tiff", "p.webp", "p.gif", "p.jpg"])
def test_pictures_are_read_as_rgb(tmp_path: Path, name: str) -> None:
    lossless = {"lossless": True} if name == "p.webp" else {}
    Image.fromarray(picture(9)).save(tmp_path / name, **lossless)
    pixels = read_image(tmp_path / name)
    atol = 90 if name == "p.jpg" else 0
    torch.testing.assert_close(pixels.int(), torch.from_numpy(picture(9)).int(), atol=atol, rtol=0)


def test_a_photograph_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(picture(9)).save(tmp_path / "p.png", exif=exif)
    expected = np.ascontiguousarray(np.rot90(picture(9), k=-1))
    assert torch.equal(read_image(tmp_path / "p.png"), torch.from_numpy(expected))


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 0x8000, np.uint16)).save(tmp_path / "p.png")
    assert (read_image(tmp_path / "p.png") == 0x80).all()


def test_damaged_huge_and_other_files_are_named(tmp_path: Path) -> None:
    Image.fromarray(picture(9)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "eps.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    Image.new("1", (100_000, 1)).save(tmp_path / "wide.png")
    Image.new("1", (16_000, 16_000)).save(tmp_path / "huge.png")
    messages = {
        "cut.png": "cut short",
        "text.png": "cannot identify image file",
        "eps.png": "cannot identify image file",
        "wide.png": "100000 x 1 pixels, the limit is 16384 a side",
        "huge.png": "256000000 pixels",
        "none.png": "no file",
        "http://example.org/a.png": "addresses are never opened",
    }
    for name, message in messages.items():
        path = name if "://" in name else tmp_path / name
        with pytest.raises(MediaError, match=message):
            read_image(path)
