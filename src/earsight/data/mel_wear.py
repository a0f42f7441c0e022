"""What coding and vocoding do to a spectrogram: a floor under silence, blur, grain.

A judge that never met it takes the wear of a codec for a class of sound. Spectrograms are in
[0, 1]. Axes: m mel bands, t frames.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Wear:
    """How worn a spectrogram may be.

    In `share` of the clips silence is lifted to a floor of at most `floor` (a part of the range,
    tilted over the bands by up to as much), neighbours are averaged over at most `blur_bands` and
    `blur_frames` on both sides, and grain of at most `grain` is added.
    """

    share: float = 0.6
    floor: float = 0.3
    blur_bands: int = 2
    blur_frames: int = 2
    grain: float = 0.05

    def __post_init__(self) -> None:
        """Refuse wear that is none."""
        if not 0 <= self.share <= 1 or not 0 <= self.floor <= 1 or self.grain < 0:
            raise ConfigError(
                f"wear: share ({self.share}) and floor ({self.floor}) must be in 0..1 and grain "
                f"({self.grain}) not negative"
            )
        if min(self.blur_bands, self.blur_frames) < 0:
            raise ConfigError("wear: blur must not be negative")


def worn(mel: Float[Tensor, "m t"], wear: Wear, generator: torch.Generator) -> Float[Tensor, "m t"]:
    """The spectrogram worn at random, or as it is."""
    draws = torch.rand(6, generator=generator)
    if float(draws[0]) >= wear.share:
        return mel
    bands, frames = (
        round(float(draw) * reach)
        for draw, reach in zip(draws[1:3], (wear.blur_bands, wear.blur_frames), strict=True)
    )
    blurred = functional.avg_pool2d(
        mel[None].float(), (2 * bands + 1, 2 * frames + 1), 1, (bands, frames),
        count_include_pad=False,
    )[0]  # fmt: skip
    tilt = torch.linspace(-1, 1, mel.shape[0])[:, None] * float(draws[3] - 0.5)
    floor = wear.floor * float(draws[4]) * (1 + tilt)
    grain = wear.grain * float(draws[5]) * torch.randn(mel.shape, generator=generator)
    return (torch.maximum(blurred, floor.expand_as(blurred)) + grain).clamp(0, 1)
