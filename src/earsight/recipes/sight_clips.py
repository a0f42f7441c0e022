"""Rendered clips as the image tower learns from them: small pictures with what is true of them.

Axes: c clips, n frames, h w pixels, k classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.data.corpus import ClipRecord
from earsight.data.foley_room.clip import ClipTruth
from earsight.data.foley_room.clip_files import read_truth
from earsight.errors import InputError
from earsight.media.video import FpsFilter, read_frames
from earsight.models.sight.model import small_pictures

FEATURE_RATE = Fraction(43, 2)
FPS = float(FEATURE_RATE)
LOUD_RMS = 0.3
"""Level of full strength; 60 dB less counts as nothing."""
SPAN_DB = 60.0
SEEN = 0.25
"""Part of a thing that must be in the picture for it to count as seen."""
EVENT_SECONDS = 0.03
"""Width of the bump that stands for an event: the frames next to it count in part."""


@dataclass(frozen=True, slots=True)
class SightClips:
    """Small pictures of clips with what is true of every frame.

    `classes` marks what may be recognised: a thing that sounds and is in the picture. `judged`
    marks frames in which a sounding thing is seen well enough to be named, `known` clips whose
    events and loudness can be learned.
    """

    pictures: UInt8[Tensor, "c n 3 h w"]
    classes: Float[Tensor, "c k"]
    judged: Float[Tensor, "c n"]
    event: Float[Tensor, "c n"]
    loudness: Float[Tensor, "c n"]
    known: Float[Tensor, " c"]

    def pick(self, chosen: Sequence[int]) -> "SightClips":
        """Some of the clips."""
        index = torch.tensor(chosen)
        return SightClips(*(getattr(self, field.name)[index] for field in fields(self)))

    def crop(self, num_frames: int, generators: Sequence[torch.Generator]) -> "SightClips":
        """Frames in a row of every clip, from a place that its generator draws."""
        spare = self.pictures.shape[1] - num_frames
        if spare <= 0:
            return self
        starts = torch.tensor(
            [int(torch.randint(spare + 1, (), generator=generator)) for generator in generators]
        )
        kept = starts[:, None] + torch.arange(num_frames)
        rows = torch.arange(len(kept))[:, None]
        timed = {
            name: getattr(self, name)[rows, kept]
            for name in ("pictures", "judged", "event", "loudness")
        }
        return replace(self, **timed)


def read_clips(
    records: Iterable[ClipRecord], *, class_names: Sequence[str], picture_size: int
) -> SightClips:
    """Pictures and truths of rendered clips, all cut to the length of the shortest.

    Raises InputError where there are no clips, or a clip without its truth.
    """
    rows = [_read_clip(record, class_names, picture_size) for record in records]
    if not rows:
        raise InputError("no rendered clips to train on: make them with 'earsight prepare'")
    length = min(len(row[0]) for row in rows)
    columns = list(zip(*rows, strict=True))
    cut = [torch.stack([value[:length] for value in columns[i]]) for i in (0, 2, 3, 4)]
    classes, known = torch.stack(list(columns[1])), torch.ones(len(rows))
    return SightClips(cut[0], classes, cut[1], cut[2], cut[3], known)


def _read_clip(
    record: ClipRecord, class_names: Sequence[str], picture_size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    frames = read_frames(record.source, rule=FpsFilter(FEATURE_RATE))
    pictures = small_pictures(frames.pixels, size=picture_size)
    truth = read_truth(record.source)
    seen = per_frame(truth.visibility, truth.fps, len(pictures))
    classes = torch.tensor([float(name in truth.classes) for name in class_names])
    return (
        pictures,
        classes,
        (seen > SEEN).float(),
        events(truth, len(pictures)),
        levels(truth, len(pictures)),
    )


def per_frame(values: Sequence[float], fps: float, num_frames: int) -> Float[Tensor, " n"]:
    """Values given at `fps`, at the frames of a video of 21.5 a second."""
    places = (torch.arange(num_frames) * (fps / FPS)).round().long().clamp(max=len(values) - 1)
    return torch.tensor(values)[places]


def events(truth: ClipTruth, num_frames: int) -> Float[Tensor, " n"]:
    """1 in a frame at whose time something strikes, less in those next to it."""
    times = torch.arange(num_frames) / FPS
    bumps = torch.zeros(num_frames)
    for event in truth.events:
        distance = (times - event.time_seconds) / EVENT_SECONDS
        bumps = torch.maximum(bumps, torch.exp(-0.5 * distance**2))
    return bumps


def levels(truth: ClipTruth, num_frames: int) -> Float[Tensor, " n"]:
    """Loudness in [0, 1]: 1 at full strength, 0 from 60 dB less."""
    rms = per_frame(truth.loudness, truth.fps, num_frames)
    return (1 + 20 * (rms / LOUD_RMS).clamp(min=1e-6).log10() / SPAN_DB).clamp(0, 1)
