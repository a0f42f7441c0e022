"""A corpus's own log filterbanks, and whether they are what a network's input was made for.

Axes: s samples, t frames, m mel bands.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.narrow import is_dict
from earsight.data.corpus import SPLITS, ClipRecord, Corpus
from earsight.data.fbank_clips import CLIPS_TO_MEASURE, CORPUS_RATE_HZ
from earsight.data.prepared import PreparedCorpus
from earsight.data.regrouped import RegroupedCorpus
from earsight.errors import InputError
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import PADDING, PUBLISHED, log_fbank
from earsight.media.resample import resample
from earsight.media.waveform import Waveform
from earsight.settings import from_plain

Fill = Literal["padding", "repeat"]
Item = TypeVar("Item")
CARD_KEY = "fbank"
CLIPS_AT_ONCE = 50
"""Clips that tell enough for a warning, where nothing was measured before: a second or two."""
NUM_LENGTHS = 11
LARGEST_SHIFT = 0.4
LARGEST_RATIO = 1.4


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredFbank:
    """Mean and spread of the log filterbanks of whole clips, without padding.

    `frames` are lengths of clips: the shortest, then tenth by tenth up to the longest.
    """

    mean: float
    spread: float
    num_clips: int
    frames: tuple[int, ...]

    def as_input(self, num_frames: int, fill: Fill) -> FbankStatistics:
        """What an input of `num_frames` frames holds, where short clips are padded or repeated."""
        if fill == "repeat":
            return FbankStatistics(mean=self.mean, spread=self.spread, num_frames=num_frames)
        share = fmean(min(found, num_frames) / num_frames for found in self.frames)
        mean = share * self.mean + (1 - share) * PADDING
        square = share * (self.spread**2 + self.mean**2) + (1 - share) * PADDING**2
        spread = math.sqrt(square - mean**2)
        return FbankStatistics(mean=mean, spread=spread, num_frames=num_frames)


def measure_fbank(waves: Iterable[Float[Tensor, " _"]]) -> MeasuredFbank:
    """Measure sounds at the corpora's rate. Raises InputError where none is as long as a frame."""
    total, squares, size = 0.0, 0.0, 0
    frames: list[int] = []
    for wave in waves:
        heard = resample(Waveform(wave.float()[None], CORPUS_RATE_HZ), PUBLISHED.rate_hz).samples
        if heard.shape[1] < PUBLISHED.window_samples:
            continue
        values = log_fbank(heard).double()
        total += float(values.sum())
        squares += float(values.square().sum())
        size += values.numel()
        frames.append(values.shape[1])
    if not frames:
        raise InputError("no sound is as long as a frame of the filterbank: there is none to judge")
    mean = total / size
    spread = math.sqrt(max(squares / size - mean**2, torch.finfo(torch.float32).eps))
    lengths = spread_over(sorted(frames), NUM_LENGTHS, with_last=True)
    return MeasuredFbank(mean=mean, spread=spread, num_clips=len(frames), frames=tuple(lengths))


def measured_fbank(corpus: Corpus) -> MeasuredFbank:
    """What preparing measured of a corpus, else what a few of its training clips say now."""
    while isinstance(corpus, RegroupedCorpus):
        corpus = corpus.corpus
    if isinstance(corpus, PreparedCorpus):
        told = corpus.card.get("statistics", {}).get(CARD_KEY)
        if is_dict(told):
            return from_plain(MeasuredFbank, told)
    clips = spread_over(to_measure(corpus), CLIPS_AT_ONCE)
    return measure_fbank(corpus.wave(clip) for clip in clips)


def to_measure(corpus: Corpus) -> Sequence[ClipRecord]:
    """Training clips; all clips of a corpus without any."""
    return corpus.records("train") or [clip for split in SPLITS for clip in corpus.records(split)]


def spread_over(
    items: Sequence[Item], count: int = CLIPS_TO_MEASURE, *, with_last: bool = False
) -> list[Item]:
    """At most `count` items, evenly spread; with the last one the others move up to it."""
    count = min(count, len(items))
    if with_last and count > 1:
        return [items[place * (len(items) - 1) // (count - 1)] for place in range(count)]
    return [items[place * len(items) // count] for place in range(count)]


def statistics_drift(
    measured: MeasuredFbank, expected: FbankStatistics, *, fill: Fill = "padding"
) -> str | None:
    """A line to warn with where a corpus is not what its input is normalised for, else None.

    Warns where the mean is more than LARGEST_SHIFT expected spreads away, or the spread differs
    by more than LARGEST_RATIO. Papers that give a data set statistics of its own correct shifts
    from AudioSet's of 0.46 (VoxCeleb) to 0.56 (Speech Commands); VGGSound, 0.18 away, is as well
    trained with AudioSet's. On a level alone, 0.4 are 8 dB.
    """
    found = measured.as_input(expected.num_frames, fill)
    shift, ratio = (found.mean - expected.mean) / expected.spread, found.spread / expected.spread
    if abs(shift) <= LARGEST_SHIFT and 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        return None
    return (
        f"log filterbanks have mean {found.mean:.2f} and spread {found.spread:.2f} "
        f"({measured.num_clips} clips), expected are {expected.mean:.2f} and "
        f"{expected.spread:.2f}: {abs(shift):.2f} spreads too {'low' if shift < 0 else 'high'}, "
        f"{ratio:.2f} times as wide; take statistics=measured, or check levels, sample rates and "
        "silence where the weights need the expected ones"
    )
