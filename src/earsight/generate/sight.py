"""Motion and the image tower's values of a video, row by row, in memory that grows with rows only.

Axes: n frames, h w pixels, r values of a row: energy, onset, then the tower's d; k classes.
"""

from array import array
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.motion import MotionTrack, motion_track, with_clip_gain
from earsight.generate.conditions import never_still
from earsight.models.sight.model import SightTower, small_pictures

PIECE_FRAMES = 64


def sight_rows(
    pictures: Iterable[UInt8[Tensor, "h w 3"]], tower: SightTower
) -> tuple[MotionTrack, Float[Tensor, "n r"]]:
    """The motion track of a video and, per frame, energy, onset and the tower's values.

    Pictures are RGB at 21.5 a second. Raises InputError for a video without pictures.
    """
    watcher = Watcher(tower)

    def seen() -> Iterator[UInt8[Tensor, "h w 3"]]:
        for picture in pictures:
            watcher.see(picture)
            yield picture

    track = never_still(with_clip_gain(motion_track(seen())))
    return track, joined_rows(track, watcher.finish())


def joined_rows(track: MotionTrack, description: Float[Tensor, "n d"]) -> Float[Tensor, "n r"]:
    """Energy and onset of a track in front of the tower's values."""
    motion = torch.stack([track.energy, track.onset], dim=1).float()
    return torch.cat([motion, description.float()], dim=1)


class Watcher:
    """Describes a video while its pictures arrive, piece by piece.

    Every piece is described with the frames around it, so that pieces do not show; only the values
    are kept of what has been described.
    """

    def __init__(self, tower: SightTower) -> None:
        self._tower = tower
        size, self._reach = tower.config.picture_size, tower.config.reach
        # one buffer for good: small tensors kept between large short-lived ones tear the heap
        room = PIECE_FRAMES + 2 * self._reach
        self._buffer = torch.empty(room, 3, size, size, dtype=torch.uint8)
        self._filled = 0
        self._done = 0
        self._values = array("f")

    def see(self, picture: UInt8[Tensor, "h w 3"]) -> None:
        """Take in the next picture."""
        if self._filled == len(self._buffer):
            self._describe(self._filled - self._reach)
        small = small_pictures(picture[None], size=self._tower.config.picture_size)
        self._buffer[self._filled] = small[0]
        self._filled += 1

    def finish(self) -> Float[Tensor, "n d"]:
        """Values of all pictures. Raises InputError where there were none."""
        if not self._filled:
            raise InputError("video has no pictures: the image tower needs at least one")
        if self._done < self._filled:
            self._describe(self._filled)
        values = torch.tensor(self._values, dtype=torch.float32)
        return values.reshape(-1, self._tower.config.num_values)

    @torch.inference_mode()
    def _describe(self, end: int) -> None:
        """Describe what is buffered up to `end`; keep the frames that later ones look back at."""
        device = next(self._tower.parameters()).device
        pictures = self._buffer[None, : self._filled].to(device)
        described = self._tower(pictures).description[0, self._done : end]
        self._values.extend(described.flatten().tolist())
        first = max(0, end - self._reach)
        kept = self._buffer[first : self._filled].clone()
        self._buffer[: len(kept)] = kept
        self._filled = len(kept)
        self._done = end - first


def describe(pictures: UInt8[Tensor, "n 3 h w"], tower: SightTower) -> Float[Tensor, "n d"]:
    """The tower's values of small pictures that are at hand, in one go."""
    with torch.inference_mode():
        device = next(tower.parameters()).device
        return tower(pictures[None].to(device)).description[0].cpu()


def class_certainty(rows: Float[Tensor, "n r"], tower: SightTower) -> Float[Tensor, " k"]:
    """How sure the tower is, 0 to 1, to see each of its classes: means over the whole video."""
    with torch.inference_mode():
        values = rows[:, -tower.config.num_values :].to(tower.read_classes.weight)
        return tower.read_classes(values).sigmoid().mean(0).cpu()
