"""TensorBoard files of a run: numbers, spectrogram pictures, sounds, histograms.

Axes: m mel bands, t frames, s samples.
"""

import functools
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from earsight.extras import require

# dark violet, blue, green, yellow: readable in grey, too
COLOURS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
BAND_PIXELS = 2


def board_installed() -> bool:
    """Whether TensorBoard is there; without it a run keeps its log alone."""
    return find_spec("tensorboard") is not None


@functools.cache
def board(folder: Path) -> "Board":
    """The one writer of a folder in this process."""
    return Board(folder)


class Board:
    """Writes TensorBoard events into a folder; raises MissingExtraError without TensorBoard."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", extra="train", purpose="writing TensorBoard events")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), flush_secs=30)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Curves, one per name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, mel: Float[Tensor, "m t"]) -> None:
        """A spectrogram in [0, 1] in false colours, low bands at the bottom."""
        self._writer.add_image(name, coloured(mel).numpy(), step, dataformats="HWC")

    def sound(self, step: int, name: str, wave: Float[Tensor, " s"], *, rate_hz: int) -> None:
        """A mono sound in [-1, 1]."""
        samples = wave.detach().float().cpu().clamp(-1, 1)[None]
        self._writer.add_audio(name, samples, step, sample_rate=rate_hz)

    def histogram(self, step: int, name: str, values: Int[Tensor, "*n"]) -> None:
        """How often whole numbers occur."""
        self._writer.add_histogram(name, values.detach().flatten().cpu(), step)

    def flush(self) -> None:
        """Bring everything to the disk."""
        self._writer.flush()


def coloured(mel: Float[Tensor, "m t"]) -> UInt8[Tensor, "h t 3"]:
    """A spectrogram in [0, 1] as a picture, low bands at the bottom, bands two pixels high."""
    places = mel.detach().float().cpu().nan_to_num().clamp(0, 1).flip(0) * (len(COLOURS) - 1)
    lower = places.floor().long().clamp(max=len(COLOURS) - 2)
    table = torch.tensor(COLOURS, dtype=torch.float32)
    picture = torch.lerp(table[lower], table[lower + 1], (places - lower)[..., None])
    return picture.round().to(torch.uint8).repeat_interleave(BAND_PIXELS, dim=0)
