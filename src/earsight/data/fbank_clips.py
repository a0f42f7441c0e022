"""Clips as Kaldi log filterbanks for training: cut, turned and levelled as waves, then transformed.

A clip's draws come from its own generator, so a batch does not depend on how it is shared out.
Axes: b clips, s samples, t frames, m mel bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus
from earsight.errors import ConfigError, EarsightError, InputError
from earsight.frontends.fbank_statistics import FbankStatistics, fbank_statistics
from earsight.frontends.kaldi_fbank import (
    PADDING,
    PUBLISHED,
    FbankSettings,
    log_fbank,
    normalise,
    pad_or_crop,
)
from earsight.media.resample import resample
from earsight.media.waveform import Waveform

Fill = Literal["padding", "repeat"]

CORPUS_RATE_HZ = 22050
LOUDEST_CHANGE_DB = 6.0
MEASURED = "measured"
CLIPS_TO_MEASURE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveCut:
    """What is taken of a clip, and how loud.

    `start`: the `first` part of a clip, a `random` part, or `cyclic`: from anywhere, going on at
    the clip's beginning behind its end. The last is what the paper calls a roll; the published code
    means it but never moves a mono clip, which is `first`. `fill` says what a clip that is too
    short has behind its end: rows of `kaldi_fbank.PADDING` as published, or itself again.
    `gain`: a level uniform in -6..6 dB (the paper), or the published code's factor
    0.5 + Beta(10, 10), which is seldom far from 1.
    """

    start: Literal["first", "random", "cyclic"] = "cyclic"
    gain: Literal["none", "six_decibel", "beta"] = "six_decibel"
    fill: Fill = "padding"


class WaveClips:
    """Sounds of records at a front end's rate, kept in memory as far as it is granted.

    `min_samples` are those of one frame. Raises InputError for no clips; a clip that cannot be
    read, or is shorter, is named, with its corpus.
    """

    def __init__(
        self,
        corpus: Corpus,
        records: Sequence[ClipRecord],
        *,
        memory_gb: float,
        rate_hz: int = PUBLISHED.rate_hz,
        min_samples: int = PUBLISHED.window_samples,
    ) -> None:
        if not records:
            raise InputError(f"{corpus.name} has no clips for this part of the training")
        self.corpus, self.records = corpus, records
        self.rate_hz, self.min_samples = rate_hz, min_samples
        self._kept: dict[int, Tensor] = {}
        self._room_bytes = memory_gb * 1e9

    def __len__(self) -> int:
        """Clips."""
        return len(self.records)

    def wave(self, index: int) -> Float[Tensor, " s"]:
        """Mono sound of a clip, less its mean."""
        if index in self._kept:
            return self._kept[index]
        wave = self._read(self.records[index])
        if wave.nbytes <= self._room_bytes:
            self._room_bytes -= wave.nbytes
            self._kept[index] = wave
        return wave

    def _read(self, record: ClipRecord) -> Float[Tensor, " s"]:
        try:
            heard = Waveform(self.corpus.wave(record).float()[None], CORPUS_RATE_HZ)
            wave = resample(heard, self.rate_hz).samples[0]
        except (EarsightError, OSError, ValueError) as error:
            raise InputError(
                f"clip {record.id} of {self.corpus.name} cannot be read ({error}): prepare the "
                "corpus again, or take the clip out of its list"
            ) from error
        if wave.numel() < self.min_samples:
            raise InputError(
                f"clip {record.id} of {self.corpus.name} has {wave.numel()} samples at "
                f"{self.rate_hz} Hz, one frame needs {self.min_samples}: take it out of its list"
            )
        return wave - wave.mean()


def samples_of(num_frames: int, settings: FbankSettings = PUBLISHED) -> int:
    """Samples that `num_frames` frames need."""
    return settings.window_samples + (num_frames - 1) * settings.hop_samples


def cut_wave(
    wave: Float[Tensor, " _"],
    cut: WaveCut,
    *,
    num_samples: int,
    rng: torch.Generator | None = None,
) -> Float[Tensor, " _"]:
    """At most `num_samples` of a clip: fewer where it is short and not repeated.

    Without `rng` nothing is drawn: the clip's first part at its own level.
    """
    found = wave.numel()
    start = 0
    if rng is not None:
        if cut.start == "cyclic":
            start = int(torch.randint(found, (), generator=rng))
        elif cut.start == "random":
            start = int(torch.randint(max(0, found - num_samples) + 1, (), generator=rng))
    turned = wave.roll(-start) if cut.start == "cyclic" and start else wave[start:]
    if cut.fill == "repeat" and turned.numel() < num_samples:
        turned = turned.repeat(-(-num_samples // turned.numel()))
    part = turned[:num_samples]
    return part if rng is None else part * _gain(cut, rng)


def beta_draw(first: float, second: float, rng: torch.Generator) -> float:
    """A number from a Beta distribution, which torch draws from global generators alone."""
    seed = int(torch.randint(2**62, (), generator=rng))
    return float(np.random.default_rng(seed).beta(first, second))


def fbanks(
    waves: Sequence[Float[Tensor, " _"]],
    *,
    num_frames: int,
    settings: FbankSettings = PUBLISHED,
    device: torch.device | None = None,
) -> Float[Tensor, "b t m"]:
    """Log filterbanks of waves of any lengths, padded or cropped at their ends, not normalised."""
    device = device or torch.device("cpu")
    result = torch.full((len(waves), num_frames, settings.num_mels), PADDING, device=device)
    by_length: dict[int, list[int]] = {}
    for place, wave in enumerate(waves):
        by_length.setdefault(wave.numel(), []).append(place)
    for places in by_length.values():
        joined = torch.stack([waves[place] for place in places]).to(device)
        found = log_fbank(joined, settings=settings)
        result[places] = pad_or_crop(found, num_frames=num_frames)
    return result


def statistics_for(
    name: str, clips: WaveClips, *, num_frames: int, fill: Fill, settings: FbankSettings = PUBLISHED
) -> FbankStatistics:
    """Published statistics of a data set by name, or with "measured" those of `clips`.

    Measured on at most 500 clips spread over all, as they are filled or padded. Raises InputError
    for an unknown name.
    """
    if name != MEASURED:
        return replace(fbank_statistics(name), num_frames=num_frames)
    count = min(len(clips), CLIPS_TO_MEASURE)
    total, squares, size = 0.0, 0.0, 0
    cut = WaveCut(start="first", gain="none", fill=fill)
    for number in range(count):
        wave = clips.wave(number * len(clips) // count)
        part = cut_wave(wave, cut, num_samples=samples_of(num_frames, settings))
        values = fbanks([part], num_frames=num_frames, settings=settings).double()
        total += float(values.sum())
        squares += float(values.square().sum())
        size += values.numel()
    mean = total / size
    spread = (squares / size - mean**2) ** 0.5
    return FbankStatistics(mean=mean, spread=spread, num_frames=num_frames)


def check_statistics_name(name: str) -> None:
    """Raise ConfigError for a name that is neither "measured" nor that of published statistics."""
    try:
        if name != MEASURED:
            fbank_statistics(name)
    except InputError as error:
        raise ConfigError(f"statistics: {error}") from error


def spread_parts(
    clips: WaveClips,
    places: Sequence[int],
    statistics: FbankStatistics,
    *,
    num_parts: int,
    fill: Fill,
    settings: FbankSettings = PUBLISHED,
    device: torch.device | None = None,
) -> Float[Tensor, "b t m"]:
    """Normalised filterbanks of `num_parts` parts of every clip, as `spread_waves` has them."""
    wanted = samples_of(statistics.num_frames, settings)
    waves = spread_waves(clips, places, num_samples=wanted, num_parts=num_parts, fill=fill)
    found = fbanks(waves, num_frames=statistics.num_frames, settings=settings, device=device)
    return normalise(found, statistics)


def spread_waves(
    clips: WaveClips, places: Sequence[int], *, num_samples: int, num_parts: int, fill: Fill
) -> list[Float[Tensor, " _"]]:
    """`num_parts` parts of every clip, evenly spread, those of a clip one after the other.

    One part is the first. Nothing is drawn. A clip that is too short gives the same part each time.
    """
    cut = WaveCut(start="first", gain="none", fill=fill)
    waves: list[Tensor] = []
    for place in places:
        wave = clips.wave(place)
        room = max(0, wave.numel() - num_samples)
        starts = [room * part // max(1, num_parts - 1) for part in range(num_parts)]
        waves += [cut_wave(wave[start:], cut, num_samples=num_samples) for start in starts]
    return waves


def _gain(cut: WaveCut, rng: torch.Generator) -> float:
    match cut.gain:
        case "none":
            return 1.0
        case "six_decibel":
            level = float(torch.rand((), generator=rng)) * 2 - 1
            return 10 ** (LOUDEST_CHANGE_DB * level / 20)
        case "beta":
            return 0.5 + beta_draw(10.0, 10.0, rng)
