"""Random training crops of log-mel spectrograms, with changes of level.

Spectrograms are in [0, 1], 100 dB wide, 0 being silence. Axes: n clips, b crops, m bands, t frames.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import ConfigError, InputError

SPAN_DB = 100.0  # of the [0, 1] range
CANDIDATES = 2  # starts drawn per crop; the loudest is kept, since clips hold much silence


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


def draw(generator: torch.Generator) -> float:
    """One draw from [0, 1)."""
    return float(torch.rand((), generator=generator))


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One draw from [low, high)."""
    return low + (high - low) * draw(generator)


def whole(low: int, high: int, generator: torch.Generator) -> int:
    """One whole number from low..high-1."""
    return int(torch.randint(low, high, (), generator=generator))


def random_crops(
    mels: Float[Tensor, "n m t"],
    *,
    num_crops: int,
    num_frames: int,
    changes: LevelChanges | None,
    generator: torch.Generator,
) -> Float[Tensor, "b m _"]:
    """Crops of `num_frames` from clips drawn with equal chances, levels changed at random.

    A crop longer than the clips is joined from several. `changes` None leaves levels alone.
    Raises InputError when there are no clips.
    """
    if mels.shape[0] == 0 or mels.shape[2] == 0:
        raise InputError("no spectrograms to crop from: check the folder of sounds")
    crops = [
        _one_crop(mels, num_frames=num_frames, changes=changes, generator=generator)
        for _ in range(num_crops)
    ]
    return torch.stack(crops)


def _one_crop(
    mels: Float[Tensor, "n m t"],
    *,
    num_frames: int,
    changes: LevelChanges | None,
    generator: torch.Generator,
) -> Float[Tensor, "m _"]:
    pieces: list[Tensor] = []
    lengths = _piece_lengths(num_frames, mels.shape[2], changes, generator)
    for length in lengths:
        piece = _loud_stretch(mels, length, generator)
        pieces.append(piece if changes is None else _change_gain(piece, changes, generator))
    crop = torch.cat(pieces, dim=1)
    if changes is not None and draw(generator) < changes.dip_share:
        for _ in range(whole(1, changes.max_dips + 1, generator)):
            crop = shift_level(crop, -_dip(num_frames, changes, generator))
    return crop


def _piece_lengths(
    num_frames: int, longest: int, changes: LevelChanges | None, generator: torch.Generator
) -> list[int]:
    splice = changes is not None and draw(generator) < changes.splice_share
    cuts = [whole(1, num_frames, generator)] if splice and num_frames > 1 else []
    lengths: list[int] = []
    for start, end in zip([0, *cuts], [*cuts, num_frames], strict=True):
        left = end - start
        while left > 0:
            lengths.append(min(left, longest))
            left -= longest
    return lengths


def _loud_stretch(
    mels: Float[Tensor, "n m t"], num_frames: int, generator: torch.Generator
) -> Float[Tensor, "m _"]:
    clip = mels[whole(0, mels.shape[0], generator)]
    starts = [whole(0, mels.shape[2] - num_frames + 1, generator) for _ in range(CANDIDATES)]
    stretches = [clip[:, start : start + num_frames].float() for start in starts]
    return max(stretches, key=lambda stretch: float(stretch.mean()))


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
