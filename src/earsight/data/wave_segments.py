"""Random training segments of waves with the spectrogram that belongs to them.

Axes: b segments, s samples, m mel bands, t frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.data.corpus import Corpus, Split
from earsight.errors import ConfigError, InputError
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ, log_mel

HELD_OUT_SAMPLES = 10 * MEL_RATE_HZ


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentDraw:
    """How segments are drawn.

    The loudest of `candidates` random starts is kept in `loud_share` of the draws, since clips
    hold much silence. In `gain_share` of them the clip's peak is set to a level uniform in
    `peak_db`, or to a value uniform in `peak` where that is given; the rest keep their level.
    `context_frames` on both sides are heard by the spectrogram and cut off again, so that no
    reflected border reaches the segment; the published training has none.
    """

    num_frames: int = 32
    context_frames: int = 4
    candidates: int = 3
    loud_share: float = 0.85
    gain_share: float = 0.6
    peak_db: tuple[float, float] = (-30.0, -0.5)
    peak: tuple[float, float] | None = None
    random_sign: bool = True

    def __post_init__(self) -> None:
        """Refuse what draws nothing."""
        if self.num_frames < 1 or self.context_frames < 0 or self.candidates < 1:
            raise ConfigError(
                f"segments: num_frames ({self.num_frames}) and candidates ({self.candidates}) "
                f"must be at least 1, context_frames ({self.context_frames}) not negative"
            )

    @property
    def num_samples(self) -> int:
        """Samples of one segment."""
        return self.num_frames * MEL_HOP_SAMPLES

    @property
    def num_drawn(self) -> int:
        """Samples of a segment with its context."""
        return (self.num_frames + 2 * self.context_frames) * MEL_HOP_SAMPLES


PUBLISHED = SegmentDraw(
    context_frames=0,
    candidates=1,
    loud_share=0.0,
    gain_share=1.0,
    peak=(0.3 * 0.95, 0.95),
    random_sign=False,
)
"""Clips brought to a peak of 0.95, times a factor uniform in 0.3..1; 8192 samples.

Source: official repository v-iashin/SpecVQGAN (vocoder training).
"""


@dataclass(frozen=True, slots=True)
class Segments:
    """Waves and their spectrograms in [0, 1]: `num_frames` frames of 256 samples."""

    wave: Float[Tensor, "b s"]
    mel: Float[Tensor, "b m t"]


class Waves:
    """The clips of a split of several corpora, read once and kept as far as memory is granted."""

    def __init__(self, corpora: Sequence[Corpus], split: Split, *, memory_gb: float) -> None:
        self._clips = [(corpus, record) for corpus in corpora for record in corpus.records(split)]
        self._kept: dict[int, Tensor] = {}
        self._room_bytes = memory_gb * 1e9

    def __len__(self) -> int:
        """Clips."""
        return len(self._clips)

    def wave(self, index: int) -> Float[Tensor, " s"]:
        """Mono sound of a clip at 22050 Hz."""
        if index in self._kept:
            return self._kept[index]
        corpus, record = self._clips[index]
        wave = corpus.wave(record).float()
        if wave.nbytes <= self._room_bytes:
            self._room_bytes -= wave.nbytes
            self._kept[index] = wave
        return wave


def held_out_waves(corpora: Sequence[Corpus], limit: int) -> list[Float[Tensor, " _"]]:
    """At most `limit` validation clips, spread over all, their first ten seconds."""
    clips = Waves(corpora, "valid", memory_gb=0.0)
    number = min(limit, len(clips))
    chosen = [index * len(clips) // number for index in range(number)]
    return [clips.wave(index)[:HELD_OUT_SAMPLES] for index in chosen]


def draw_segment(
    clip: Float[Tensor, " s"], draw: SegmentDraw, rng: torch.Generator
) -> Float[Tensor, " _"]:
    """A segment with its context from a mono clip at 22050 Hz; a shorter clip ends in zeros.

    Raises InputError for a clip without samples.
    """
    length, found = draw.num_drawn, clip.numel()
    if not found:
        raise InputError("a clip without samples: remove it from the corpus")
    clip = functional.pad(clip, (0, max(0, length - found)))
    starts = torch.randint(clip.numel() - length + 1, (draw.candidates,), generator=rng)
    is_loud, is_levelled, level, sign = (float(x) for x in torch.rand(4, generator=rng))
    pieces = [clip[int(start) : int(start) + length] for start in starts]
    piece = pieces[0]
    if is_loud < draw.loud_share:
        piece = max(pieces, key=lambda each: float(each.square().sum()))
    gain = -1.0 if draw.random_sign and sign >= 0.5 else 1.0
    peak = float(clip.abs().max())
    if is_levelled < draw.gain_share and peak > 0:
        gain *= _peak(draw, level) / peak
    return piece * gain


def with_spectrograms(pieces: Sequence[Float[Tensor, " s"]], draw: SegmentDraw) -> Segments:
    """Drawn pieces without their context, and the spectrograms that heard it."""
    cut = torch.stack(list(pieces))
    mel = log_mel(cut, num_frames=None)
    start, first = draw.context_frames * MEL_HOP_SAMPLES, draw.context_frames
    return Segments(
        cut[:, start : start + draw.num_samples], mel[:, :, first : first + draw.num_frames]
    )


def _peak(draw: SegmentDraw, level: float) -> float:
    if draw.peak is not None:
        low, high = draw.peak
        return low + (high - low) * level
    low, high = draw.peak_db
    return 10 ** ((low + (high - low) * level) / 20)
