"""Clips and classes for networks that tag log filterbanks: draws, mixtures, hidden stripes.

What is random about a clip comes from its own generator. Waves are turned, levelled and mixed,
then transformed, hidden in stripes and normalised, in the order of the official code.
Sources: Audio-MAE, appendix; official repositories facebookresearch/AudioMAE and YuanGongND/ast.

Axes: b clips, s samples, t frames, m mel bands, k classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from earsight.data.clip_classes import targets_of
from earsight.data.corpus import Corpus, Split
from earsight.data.fbank_clips import (
    WaveClips,
    WaveCut,
    beta_draw,
    cut_wave,
    fbanks,
    samples_of,
)
from earsight.data.joined import JoinedCorpus
from earsight.data.weighted_draws import EpochDraws, clip_weights, repeated_places
from earsight.errors import ConfigError, InputError
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.htsat_augment import Stripes, spec_augment
from earsight.frontends.kaldi_fbank import PUBLISHED, FbankSettings, normalise

TagLoss = Literal["binary", "softmax"]
LOUDEST_NOISE, MOST_FRAMES_TURNED = 0.1, 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipChanges:
    """How training clips are changed.

    With probability `mixup` a clip is mixed with any other one, its share from Beta(`mix_shape`,
    `mix_shape`), classes by the same shares. `noise_db` is how far below a clip white noise lies
    that is added, None for none. `stripes` of the filterbank are set to 0 before it is normalised,
    as published. `uniform_noise` adds AST's noise to the normalised filterbank, at a level of its
    own a clip, and turns it by up to 10 frames.
    """

    cut: WaveCut = field(default_factory=WaveCut)
    mixup: float = 0.5
    mix_shape: float = 10.0
    noise_db: float | None = None
    stripes: Stripes = field(
        default_factory=lambda: Stripes(num_time=1, time_width=192, num_bands=1, band_width=48)
    )
    uniform_noise: bool = False

    def __post_init__(self) -> None:
        """Refuse shares outside [0, 1]."""
        if not 0 <= self.mixup <= 1 or self.mix_shape <= 0:
            raise ConfigError(
                f"mixup ({self.mixup}) must lie in [0, 1] and mix_shape ({self.mix_shape}) above 0"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawSettings:
    """How an epoch is drawn.

    `weighted` draws `num_draws` clips (all where None), those of rare classes more often;
    `balanced` draws one of every class in turn, as HTS-AT is trained. `repeat_to` repeats clips of
    classes that have less than this share of the largest one's.
    """

    batch: int = 512
    weighted: bool = False
    balanced: bool = False
    num_draws: int | None = None
    repeat_to: float = 0.0

    def __post_init__(self) -> None:
        """Refuse two ways at once."""
        if self.weighted and self.balanced:
            raise ConfigError("draws: choose weighted or balanced, not both")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedBatch:
    """Spectrograms as the network takes them, and how much of each class they hold."""

    inputs: Float[Tensor, "b t m"]
    targets: Float[Tensor, "b k"]


class TaggedClips:
    """The clips of a split that have a class, and their targets: 1 for every class of a clip.

    A clip's classes are those that `notes["classes"]` names, else its own one. Raises InputError
    where no clip has a class.
    """

    def __init__(
        self,
        corpus: JoinedCorpus,
        split: Split,
        *,
        memory_gb: float,
        rate_hz: int = PUBLISHED.rate_hz,
        min_samples: int = PUBLISHED.window_samples,
    ) -> None:
        records = corpus.records(split)
        labelled = [record for record in records if record.class_index is not None]
        if not labelled:
            raise InputError(
                f"{corpus.name} has {len(records)} {split} clips and none with a class: a tagger "
                "needs labelled clips"
            )
        self.split: Split = split
        self.waves = WaveClips(
            corpus, labelled, memory_gb=memory_gb, rate_hz=rate_hz, min_samples=min_samples
        )
        self.targets = torch.from_numpy(targets_of(labelled, corpus.class_names)).float()
        self.owners = tuple(corpus.origin(record)[0].name for record in labelled)

    def __len__(self) -> int:
        """Clips with a class."""
        return len(self.waves)

    @property
    def labels(self) -> list[int]:
        """The one class of every clip that its record names."""
        return [int(record.class_index or 0) for record in self.waves.records]


class TaggerData:
    """Clips to train on, to stop by and to be judged on, and the order they are trained in.

    Where no clip of "test" has a class, the valid clips are judged at the end, too. Raises
    InputError for less than two classes.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        draws: DrawSettings,
        *,
        memory_gb: float,
        seed: int,
        rate_hz: int = PUBLISHED.rate_hz,
        min_samples: int = PUBLISHED.window_samples,
    ) -> None:
        corpus = JoinedCorpus(corpora)
        self.name, self.class_names = corpus.name, corpus.class_names
        if len(self.class_names) < 2:
            raise InputError(
                f"{self.name} has {len(self.class_names)} classes: a tagger needs 2 at least"
            )

        def clips(split: Split, memory_gb: float) -> TaggedClips:
            return TaggedClips(
                corpus, split, memory_gb=memory_gb, rate_hz=rate_hz, min_samples=min_samples
            )

        self.train, self.valid = clips("train", memory_gb), clips("valid", memory_gb / 4)
        has_test = any(record.class_index is not None for record in corpus.records("test"))
        self.test = clips("test", 0.0) if has_test else self.valid
        self._places = repeated_places(self.train.targets, share=draws.repeat_to)
        targets = self.train.targets[self._places]
        self.draws = EpochDraws(
            len(self._places),
            batch=draws.batch,
            seed=seed,
            weights=clip_weights(targets) if draws.weighted else None,
            balanced=targets if draws.balanced else None,
            num_draws=draws.num_draws,
        )

    def places(self, step: int) -> list[int]:
        """Training clips of the global batch of a step."""
        return [self._places[index] for index in self.draws.indices(step)]


def draw_tagged(
    clips: TaggedClips,
    places: Sequence[int],
    changes: ClipChanges,
    statistics: FbankStatistics,
    *,
    generators: Sequence[torch.Generator],
    device: torch.device,
    settings: FbankSettings = PUBLISHED,
) -> TaggedBatch:
    """Training clips as `settings` have it, each changed by its own generator."""
    num_frames = statistics.num_frames
    wanted = samples_of(num_frames, settings)
    waves, targets = draw_waves(clips, places, changes, num_samples=wanted, generators=generators)
    found = fbanks(waves, num_frames=num_frames, settings=settings, device=device)
    striped = [
        spec_augment(row[None], rng=rng, stripes=changes.stripes)
        for row, rng in zip(found, generators, strict=True)
    ]
    inputs = normalise(torch.cat(striped), statistics)
    if changes.uniform_noise:
        inputs = torch.stack(
            [_turned_in_noise(row, rng) for row, rng in zip(inputs, generators, strict=True)]
        )
    return TaggedBatch(inputs=inputs, targets=targets.to(device))


def draw_waves(
    clips: TaggedClips,
    places: Sequence[int],
    changes: ClipChanges,
    *,
    num_samples: int,
    generators: Sequence[torch.Generator],
) -> tuple[list[Float[Tensor, " _"]], Float[Tensor, "b k"]]:
    """Sounds of training clips, cut, mixed and made noisy, and the classes they then hold."""
    waves: list[Tensor] = []
    targets: list[Tensor] = []
    for place, rng in zip(places, generators, strict=True):
        wave, target = _mixed(clips, place, changes, num_samples, rng)
        waves.append(wave if changes.noise_db is None else _noisy(wave, changes.noise_db, rng))
        targets.append(target)
    return waves, torch.stack(targets)


def tag_loss(
    logits: Float[Tensor, "b k"],
    targets: Float[Tensor, "b k"],
    *,
    kind: TagLoss,
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean cross-entropy: of every class by itself, or of one softmax over all.

    `smoothing` moves that share of a target to "as likely as not", or evenly to all classes. For a
    softmax the targets of a clip are scaled to a sum of 1.
    """
    logits = logits.float()
    if kind == "binary":
        soft = targets * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, soft)
    shares = targets / targets.sum(dim=1, keepdim=True)
    soft = shares * (1 - smoothing) + smoothing / targets.shape[1]
    return functional.cross_entropy(logits, soft)


def _mixed(
    clips: TaggedClips, place: int, changes: ClipChanges, num_samples: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    wave = cut_wave(clips.waves.wave(place), changes.cut, num_samples=num_samples, rng=rng)
    target = clips.targets[place]
    if float(torch.rand((), generator=rng)) >= changes.mixup:
        return wave, target
    other = int(torch.randint(len(clips), (), generator=rng))
    partner = cut_wave(clips.waves.wave(other), changes.cut, num_samples=num_samples, rng=rng)
    partner = functional.pad(partner, (0, wave.numel() - partner.numel()))
    share = beta_draw(changes.mix_shape, changes.mix_shape, rng)
    mixed = share * (wave - wave.mean()) + (1 - share) * (partner - partner.mean())
    return mixed, share * target + (1 - share) * clips.targets[other]


def _noisy(wave: Float[Tensor, " s"], below_db: float, rng: torch.Generator) -> Tensor:
    level = float(wave.square().mean().sqrt()) * 10 ** (-below_db / 20)
    return wave + level * torch.randn(wave.shape, generator=rng)


def _turned_in_noise(fbank: Float[Tensor, "t m"], rng: torch.Generator) -> Tensor:
    noise = torch.rand(fbank.shape, generator=rng) * torch.rand((), generator=rng)
    turned = int(torch.randint(-MOST_FRAMES_TURNED, MOST_FRAMES_TURNED, (), generator=rng))
    return (fbank + LOUDEST_NOISE * noise.to(fbank.device)).roll(turned, dims=0)
