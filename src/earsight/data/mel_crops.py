"""Training crops of log-mel spectrograms of uneven lengths, with changes of level.

Spectrograms are in [0, 1], 100 dB wide, 0 being silence. Axes: m bands, t frames, f frames of a
piece.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earsight.data.batching import crop_or_pad, crop_start
from earsight.data.mel_wear import Wear, worn
from earsight.errors import ConfigError

SPAN_DB = 100.0  # of the [0, 1] range


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelChanges:
    """How levels are changed: shares are probabilities per crop, levels are in dB.

    A gain shifts the whole crop, a dip lowers a random stretch of it (to digital silence in
    `silence_share` of the dips), a splice joins halves of two clips.
    """

    gain_share: float = 0.7
    gain_db: tuple[float, float] = (-25.0, 6.0)
    dip_share: float = 0.5
    max_dips: int = 3
    dip_db: tuple[float, float] = (5.0, 45.0)
    silence_share: float = 0.35
    max_ramp_frames: int = 12
    splice_share: float = 0.25

    def __post_init__(self) -> None:
        shares = (self.gain_share, self.dip_share, self.silence_share, self.splice_share)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError(f"level changes: shares must be in [0, 1], got {shares}")
        if self.gain_db[0] > self.gain_db[1] or self.dip_db[0] > self.dip_db[1]:
            raise ConfigError("level changes: gain_db and dip_db must be (low, high)")


@dataclass(frozen=True, kw_only=True, slots=True)
class CropSettings:
    """How a crop is taken from a clip.

    `random` draws where it begins, otherwise it is the middle of the clip. Of `candidates` drawn
    begins the one with the loudest crop is kept, since clips hold much silence. `join_short` fills
    a crop that is longer than its clip with pieces of other clips; otherwise the rest is masked.
    `changes` None leaves levels alone, `wear` None everything else.
    """

    random: bool = True
    candidates: int = 1
    join_short: bool = False
    changes: LevelChanges | None = None
    wear: Wear | None = None

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ConfigError(f"crops: candidates ({self.candidates}) must be at least 1")
        changed = self.join_short or self.changes is not None or self.wear is not None
        if not self.random and changed:
            raise ConfigError("crops: join_short, changes and wear need random crops")


def draw(generator: torch.Generator) -> float:
    """One draw from [0, 1)."""
    return float(torch.rand((), generator=generator))


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One draw from [low, high)."""
    return low + (high - low) * draw(generator)


def whole(low: int, high: int, generator: torch.Generator) -> int:
    """One whole number from low..high-1."""
    return int(torch.randint(low, high, (), generator=generator))


def draw_crop(
    read: Callable[[int], Float[Tensor, "m _"]],
    index: int,
    *,
    num_clips: int,
    num_frames: int,
    settings: CropSettings,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "m t"], Bool[Tensor, " t"]]:
    """A crop of clip `index`, and which of its frames are real.

    `read` gives the spectrogram of a clip by its number below `num_clips`. All that is random
    comes from `generator`.
    """
    changes = settings.changes
    crop = _piece(read(index), num_frames, settings, generator)
    spliced = changes is not None and num_frames > 1 and draw(generator) < changes.splice_share
    if spliced:
        crop = crop[:, : whole(1, num_frames, generator)]
    while (spliced or settings.join_short) and crop.shape[1] < num_frames:
        other = read(whole(0, num_clips, generator))
        piece = _piece(other, num_frames - crop.shape[1], settings, generator)
        crop = torch.cat([crop, piece], dim=1)
    if changes is not None and draw(generator) < changes.dip_share:
        for _ in range(whole(1, changes.max_dips + 1, generator)):
            crop = shift_level(crop, -_dip(crop.shape[1], changes, generator))
    if settings.wear is not None:
        crop = worn(crop, settings.wear, generator)
    return crop_or_pad(crop, num_frames)


def _piece(
    mel: Float[Tensor, "m t"], num_frames: int, settings: CropSettings, generator: torch.Generator
) -> Float[Tensor, "m f"]:
    """At most `num_frames` frames of a clip, loud ones preferred, with a gain of their own."""
    starts = [
        crop_start(mel.shape[1], num_frames, generator if settings.random else None)
        for _ in range(settings.candidates)
    ]
    pieces = [mel[:, start : start + num_frames] for start in starts]
    piece = max(pieces, key=lambda stretch: float(stretch.mean()))
    return piece if settings.changes is None else _change_gain(piece, settings.changes, generator)


def _change_gain(
    piece: Float[Tensor, "m t"], changes: LevelChanges, generator: torch.Generator
) -> Float[Tensor, "m t"]:
    if draw(generator) >= changes.gain_share:
        return piece
    gain = uniform(*changes.gain_db, generator)
    return shift_level(piece, torch.full((piece.shape[1],), gain))


def _dip(num_frames: int, changes: LevelChanges, generator: torch.Generator) -> Float[Tensor, " t"]:
    """Attenuation in dB per frame: a plateau with ramps at both ends."""
    depth = uniform(*changes.dip_db, generator)
    if draw(generator) < changes.silence_share:
        depth = SPAN_DB
    length = whole(2, max(3, num_frames // 2), generator)
    start = whole(-length // 2, num_frames - length // 2, generator)
    ramps = [whole(1, changes.max_ramp_frames + 1, generator) for _ in range(2)]
    frames: Int[Tensor, " t"] = torch.arange(num_frames)
    rise = ((frames - start) / ramps[0]).clamp(0, 1)
    fall = ((start + length - frames) / ramps[1]).clamp(0, 1)
    return depth * rise * fall


def shift_level(mel: Float[Tensor, "m t"], level_db: Float[Tensor, " t"]) -> Float[Tensor, "m t"]:
    """The spectrogram with every frame made louder or quieter; silence stays silent."""
    return torch.where(mel > 0, (mel + level_db / SPAN_DB).clamp(0, 1), mel)
