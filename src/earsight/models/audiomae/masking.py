"""Which tokens the encoder sees: at random, or whole columns and rows of the spectrogram.

Noise comes from a generator that is passed in, or as an argument.

Source: Audio-MAE, sec. 3 (fig. 3) and 4.4; official repository facebookresearch/AudioMAE.

Axes: b clips, n tokens, k visible tokens, x tokens over time, y tokens over bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earsight.errors import ConfigError
from earsight.models.audiomae.config import Grid

# what the published code adds to the number of a masked token before it sorts the numbers: too
# little where there are more tokens than this, so that visible ones change places with masked ones
MASKED_OFFSET = 999


@dataclass(frozen=True, slots=True)
class TokenMask:
    """A permutation of the tokens of which the first `num_kept` are visible.

    `masked` are the tokens that the loss counts: those that are not visible.
    """

    order: Int[Tensor, "b n"]
    num_kept: int
    masked: Bool[Tensor, "b n"]

    @property
    def kept(self) -> Int[Tensor, "b k"]:
        """Numbers of the visible tokens."""
        return self.order[:, : self.num_kept]

    @property
    def restore(self) -> Int[Tensor, "b n"]:
        """Place of every token in `order`."""
        return _places(self.order)

    def to(self, device: torch.device) -> "TokenMask":
        """The same mask on another device."""
        return TokenMask(self.order.to(device), self.num_kept, self.masked.to(device))


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """How tokens are masked; the defaults are those of published pre-training.

    `random` masks the share `ratio` of all tokens. `time_frequency` masks the share `time` of the
    columns and `frequency` of the rows; 0 leaves an axis alone. Each is rounded so that too few
    tokens rather than too many stay visible.
    """

    kind: Literal["random", "time_frequency"] = "random"
    ratio: float = 0.8
    time: float = 0.7
    frequency: float = 0.3

    def __post_init__(self) -> None:
        """Refuse shares outside [0, 1)."""
        if not all(0 <= share < 1 for share in (self.ratio, self.time, self.frequency)):
            raise ConfigError(
                f"masked shares must lie in [0, 1), got ratio {self.ratio}, time {self.time}, "
                f"frequency {self.frequency}"
            )

    def draw(self, grid: Grid, *, batch: int, rng: torch.Generator) -> TokenMask:
        """Masks of a batch of clips, on the generator's device; time is drawn before frequency."""
        columns, rows = grid
        if self.kind == "random":
            return random_mask(_noise(batch, columns * rows, rng), ratio=self.ratio)
        noise_time = _noise(batch, columns, rng)
        return time_frequency_mask(
            noise_time, _noise(batch, rows, rng), time=self.time, frequency=self.frequency
        )

    def draw_each(self, grid: Grid, generators: Sequence[torch.Generator]) -> TokenMask:
        """A mask of every clip from its own generator, so that it does not depend on the batch."""
        drawn = [self.draw(grid, batch=1, rng=rng) for rng in generators]
        return TokenMask(
            torch.cat([mask.order for mask in drawn]),
            drawn[0].num_kept,
            torch.cat([mask.masked for mask in drawn]),
        )


def fine_tuning(*, time: float = 0.2, frequency: float = 0.2) -> Masking:
    """Masking of published fine-tuning; the paper's appendix has 0.3 and 0.3."""
    return Masking(kind="time_frequency", time=time, frequency=frequency)


def num_kept(total: int, share: float) -> int:
    """Visible ones of `total`, rounded down as the published code does.

    0.7 of 512 leave 153, where the paper has 154. Raises ConfigError where none would stay.
    """
    kept = int(total * (1 - share))
    if kept < 1:
        raise ConfigError(f"masking {share:g} of {total} leaves nothing visible: mask less")
    return kept


def random_mask(noise: Float[Tensor, "b n"], *, ratio: float) -> TokenMask:
    """The tokens of the smallest noise are visible, in the order of their noise."""
    order, count = noise.argsort(dim=1, stable=True), num_kept(noise.shape[1], ratio)
    return TokenMask(order, count, _places(order) >= count)


def time_frequency_mask(
    noise_time: Float[Tensor, "b x"],
    noise_frequency: Float[Tensor, "b y"],
    *,
    time: float,
    frequency: float,
    published_order: bool = False,
) -> TokenMask:
    """Tokens are visible where both their column and their row are; they keep their order.

    `published_order` repeats the defect of the published code above 999 tokens, which shows some
    masked tokens and hides as many visible ones, and still counts the loss on those meant; below
    that number both are the same. Equal sums then fall as PyTorch's unstable sort leaves them,
    which may differ between platforms.
    """
    seen_time = _smallest(noise_time, num_kept(noise_time.shape[1], time))
    seen_frequency = _smallest(noise_frequency, num_kept(noise_frequency.shape[1], frequency))
    seen = rearrange(seen_time[:, :, None] & seen_frequency[:, None], "b x y -> b (x y)")
    count = num_kept(noise_time.shape[1], time) * num_kept(noise_frequency.shape[1], frequency)
    number = torch.arange(seen.shape[1], device=seen.device)
    offset = MASKED_OFFSET if published_order else seen.shape[1]
    order = (number + offset * ~seen).argsort(dim=1, stable=not published_order)
    return TokenMask(order, count, ~seen)


def _places(order: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    places = torch.arange(order.shape[1], device=order.device)
    return torch.empty_like(order).scatter_(1, order, places.expand_as(order))


def _smallest(noise: Float[Tensor, "b n"], count: int) -> Bool[Tensor, "b n"]:
    chosen = noise.argsort(dim=1, stable=True)[:, :count]
    return torch.zeros_like(noise, dtype=torch.bool).scatter_(1, chosen, True)


def _noise(batch: int, size: int, rng: torch.Generator) -> Float[Tensor, "b n"]:
    return torch.rand(batch, size, generator=rng, device=rng.device)
