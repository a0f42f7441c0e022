"""Changes of spectrograms while HTS-AT trains, on bands that were normalised.

Source: official repository RetroCirce/HTS-Audio-Transformer.
Axes: b clips, t frames, m mel bands.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError, InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Stripes:
    """How much SpecAugment hides: stripes of 0 to `width` - 1 frames and bands.

    Two of each make what the paper gives as 128 frames and 16 bands.
    """

    num_time: int = 2
    time_width: int = 64
    num_bands: int = 2
    band_width: int = 8

    def __post_init__(self) -> None:
        """Refuse negative counts, and widths that hold nothing."""
        if min(self.num_time, self.num_bands) < 0 or min(self.time_width, self.band_width) < 1:
            raise ConfigError(f"expected counts of at least 0 and widths of at least 1, got {self}")


def spec_augment(
    x: Float[Tensor, "b t m"], *, rng: torch.Generator, stripes: Stripes | None = None
) -> Float[Tensor, "b t m"]:
    """Set stripes of frames and of bands to 0, others in every clip.

    A stripe's width is drawn first, then its start, both uniformly. Raises InputError for a
    spectrogram that is smaller than a stripe may be.
    """
    stripes = stripes or Stripes()
    batch, num_frames, num_bands = x.shape
    frames = _hidden(batch, num_frames, stripes.num_time, stripes.time_width, rng).to(x.device)
    bands = _hidden(batch, num_bands, stripes.num_bands, stripes.band_width, rng).to(x.device)
    return x.masked_fill(frames[:, :, None] | bands[:, None, :], 0.0)


def _hidden(batch: int, size: int, count: int, width: int, rng: torch.Generator) -> Tensor:
    """Which places of an axis some stripe covers, per clip."""
    if count and size < width:
        raise InputError(f"an axis of {size} is shorter than a stripe may be ({width - 1})")
    drawn = torch.rand(2, batch, count, generator=rng, device=rng.device)
    widths = (drawn[0] * width).floor()
    starts = (drawn[1] * (size - widths)).floor()
    place = torch.arange(size, device=rng.device)[:, None]
    covered = (place >= starts[:, None]) & (place < (starts + widths)[:, None])  # (b, size, count)
    return covered.any(dim=2)


def mixing_shares(batch: int, *, rng: torch.Generator) -> Float[Tensor, " b"]:
    """A share per clip from Beta(1/2, 1/2): either clip mostly keeps its own sound."""
    angle = torch.rand(batch, generator=rng, device=rng.device) * (math.pi / 2)
    return angle.sin().square()  # the arcsine law, which is this Beta


def mixup(x: Float[Tensor, "b ..."], shares: Float[Tensor, " b"]) -> Float[Tensor, "b ..."]:
    """Each clip mixed with the one at the mirrored place of the batch; labels stay as they are."""
    own = shares.to(x).reshape(-1, *[1] * (x.ndim - 1))
    return own * x + (1 - own) * x.flip(0)


def random_crop(
    x: Float[Tensor, "b t m"], *, num_frames: int, rng: torch.Generator
) -> Float[Tensor, "b n m"]:
    """A part of `num_frames` of each clip, from a place of its own; shorter clips stay whole."""
    spare = x.shape[1] - num_frames
    if spare <= 0:
        return x
    starts = torch.randint(spare + 1, (len(x),), generator=rng, device=rng.device).to(x.device)
    places = starts[:, None] + torch.arange(num_frames, device=x.device)
    return x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))
