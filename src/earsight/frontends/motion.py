"""Motion of a picture over time without any network: how much moves, and when it changes suddenly.

The visual input of the models trained on sound alone. Camera shake and pans, cuts, flashes and
exposure changes are left out as far as they can be told from motion.
Idea of the onset: a sudden change of motion per direction (Davis and Agrawala, Visual Rhythm and
Beat, 2018); a bounce, a blow and a stop show there, an even movement does not.

Axes: t frames, g grid cells (row by row), c code columns, d channels.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.frontends.column_rows import ROWS_PER_COLUMN, column_rows
from earsight.frontends.motion_fields import (
    SMALL_WIDTH,
    PairMotion,
    pair_motion,
    small_picture,
)

MOTION_FPS = 21.5
FRAMES_PER_COLUMN = ROWS_PER_COLUMN
FEATURES_PER_COLUMN = 2 * FRAMES_PER_COLUMN
ONSET_MARGIN = 1.5  # over the mean around: trembling, water and falling are no onsets
ONSET_FLOOR_WIDTHS = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionConfig:
    """Scales of the track; absolute, so that a quiet clip stays quiet.

    Energy 1 is an RMS change of `energy_full` of the normalised picture over the whole picture
    (unlike content gives 1.4). Onset 1 is a change of `onset_full_widths` picture widths per
    second in the RMS speed over the whole picture. Both enter under a square root, so that an
    object of a hundredth of the picture is a tenth, not a hundredth, and then a third.
    `baseline_frames` on both sides make up the mean that an onset has to exceed.
    """

    fps: float = MOTION_FPS
    grid_rows: int = 3
    grid_columns: int = 3
    energy_full: float = 0.8
    onset_full_widths: float = 0.4
    baseline_frames: int = 8

    def __post_init__(self) -> None:
        """Refuse sizes and scales that are not positive."""
        wrong = [
            name
            for name in ("fps", "grid_rows", "grid_columns", "energy_full", "onset_full_widths")
            if getattr(self, name) <= 0
        ]
        if wrong or self.baseline_frames < 0:
            raise ConfigError(f"{', '.join(wrong) or 'baseline_frames'} must be positive")


@dataclass(frozen=True, slots=True)
class MotionTrack:
    """Motion per video frame, everything in [0, 1].

    `energy` of frame i is the motion from frame i - 1 to i; `onset` of frame i is how suddenly
    motion changes at that frame. `breaks` marks frames whose picture cannot be compared with the
    one before: the first, and those after a cut or in a flash. Their energy is that of the
    neighbours, and no onset stands at either end of a break.
    """

    energy: Float[Tensor, " t"]
    onset: Float[Tensor, " t"]
    grid_energy: Float[Tensor, "t g"]
    grid_onset: Float[Tensor, "t g"]
    breaks: Bool[Tensor, " t"]
    fps: float

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return self.energy.shape[0]

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.num_frames / self.fps


def motion_track(
    pictures: Iterable[UInt8[Tensor, "a b 3"]], config: MotionConfig | None = None
) -> MotionTrack:
    """Measure a video that arrives picture by picture, in memory that its length does not change.

    Pictures are upright RGB at `config.fps` (21.5 a second, by the `fps` filter's rule), of one
    size. Raises InputError for a video without pictures.
    """
    config = config or MotionConfig()
    num_cells = 1 + config.grid_rows * config.grid_columns
    # one growing array: small tensors kept between large short-lived ones would tear the heap
    powers = array("f")
    breaks: list[bool] = []
    earlier = None
    for pixels in pictures:
        later = small_picture(pixels)
        if earlier is None:
            powers.extend([0.0] * (5 * num_cells))
            breaks.append(True)
        else:
            pair = pair_motion(earlier, later)
            powers.extend(float(power) for power in _cell_powers(pair, config).flatten())
            breaks.append(pair.is_broken)
        earlier = later
    if not breaks:
        raise InputError("video has no pictures: motion needs at least one")
    rows = torch.tensor(powers, dtype=torch.float32).reshape(len(breaks), 5, num_cells)
    return _track(rows, torch.tensor(breaks), config)


def _cell_powers(pair: PairMotion, config: MotionConfig) -> Float[Tensor, "5 g"]:
    """Mean square change and mean square speed in four directions; whole picture, then cells."""
    down, right = pair.flow
    parts = torch.stack([pair.change, down, -down, right, -right]).clamp(min=0).square()
    cells = functional.adaptive_avg_pool2d(parts, (config.grid_rows, config.grid_columns))
    return torch.cat([parts.mean((1, 2))[:, None], rearrange(cells, "k r c -> k (r c)")], dim=1)


def _track(
    powers: Float[Tensor, "t 5 g"], breaks: Bool[Tensor, " t"], config: MotionConfig
) -> MotionTrack:
    amplitudes = _bridge(powers.sqrt(), breaks)
    change, speeds = amplitudes[:, 0], amplitudes[:, 1:] * (config.fps / SMALL_WIDTH)
    energy = (change / config.energy_full).clamp(0, 1).sqrt()
    jumps = torch.zeros_like(change)
    # the motion up to a frame against the motion after it
    jumps[:-1] = (speeds[1:] - speeds[:-1]).abs().sum(1)
    jumps = jumps * ~_beside(breaks)[:, None]
    usual = ONSET_MARGIN * _local_mean(jumps, config.baseline_frames)
    excess = (jumps - usual - ONSET_FLOOR_WIDTHS).clamp(min=0)
    onset = (excess / config.onset_full_widths).clamp(max=1).sqrt()
    return MotionTrack(energy[:, 0], onset[:, 0], energy[:, 1:], onset[:, 1:], breaks, config.fps)


def _bridge(values: Float[Tensor, "t k g"], breaks: Bool[Tensor, " t"]) -> Float[Tensor, "t k g"]:
    """Values of broken frames drawn as a line between the sound ones around them."""
    sound = torch.nonzero(~breaks)[:, 0]
    if sound.numel() == 0:
        return torch.zeros_like(values)
    frames = torch.arange(len(breaks))
    after = torch.searchsorted(sound, frames).clamp(max=len(sound) - 1)
    before = (torch.searchsorted(sound, frames, right=True) - 1).clamp(min=0)
    left, right = sound[before], sound[after]
    share = ((frames - left) / (right - left).clamp(min=1)).clamp(0, 1)[:, None, None]
    return values[left] * (1 - share) + values[right] * share


def _beside(breaks: Bool[Tensor, " t"]) -> Bool[Tensor, " t"]:
    """Frames at which a broken pair begins or ends: motion before and after cannot be compared."""
    later = torch.cat([breaks[1:], breaks.new_zeros(1)])
    return breaks | later


def _local_mean(values: Float[Tensor, "t g"], reach: int) -> Float[Tensor, "t g"]:
    pooled = functional.avg_pool1d(values.T[None], 2 * reach + 1, 1, reach, count_include_pad=False)
    return pooled[0].T


def with_clip_gain(track: MotionTrack, *, target: float = 0.8, limit: float = 4.0) -> MotionTrack:
    """The track with energy and onset each brought to `target` at the loudest twentieth.

    One factor per kind for the whole clip, at most `limit`, so that a still clip stays still.
    """

    def gain(values: Float[Tensor, " t"]) -> float:
        high = float(values.sort().values[int(0.95 * (len(values) - 1))])
        return min(limit, target / high) if high > target / limit / 4 else 1.0

    energy, onset = gain(track.energy), gain(track.onset)
    return replace(
        track,
        energy=(track.energy * energy).clamp(max=1),
        onset=(track.onset * onset).clamp(max=1),
        grid_energy=(track.grid_energy * energy).clamp(max=1),
        grid_onset=(track.grid_onset * onset).clamp(max=1),
    )


def motion_features(
    track: MotionTrack, *, num_columns: int = 53, start_seconds: float = 0.0
) -> Float[Tensor, "c d"]:
    """The track as one row of 8 values per code column, for a window that starts anywhere.

    A code column is 16 spectrogram frames of 256 samples at 22050 Hz, 0.18576 s, in which about
    4 video frames fall. Row t is [e0 e1 e2 e3 o0 o1 o2 o3]: energy, then onset, at the frames
    nearest to the times start_seconds + (4 t + j) / 4 * 0.18576 s for j = 0..3, which are the
    frames 4 t + j to within a third over 53 columns, and stay with the sound over any length.
    All values lie in [0, 1]; times outside the video give 0. Only the whole picture's values
    are used, not the grid's.
    """
    both = torch.stack([track.energy, track.onset], dim=1).float()
    return column_rows(both, num_columns=num_columns, start_seconds=start_seconds, fps=track.fps)
