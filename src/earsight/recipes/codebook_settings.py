"""What decides the outcome of a codebook training."""

from dataclasses import dataclass, field
from typing import Literal

from earsight.data.mel_crops import CropSettings
from earsight.errors import ConfigError
from earsight.losses.codebook import CodebookLossWeights
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.discriminator import PatchDiscriminatorConfig
from earsight.recipes.perceptual_distance import DistanceSettings
from earsight.training.precision import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class CropBatch:
    """One way to fill a step: this many clips (of all processes and parts), of this length."""

    frames: int
    clips: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CodebookRecipe:
    """Everything that decides the outcome of a run.

    Data. Every step draws one of `batches`. `corpus_shares` "by clip" takes every clip once per
    epoch (where there is one kind of batch); "even" takes the corpora in turn, and their clips at
    random. Frames beyond a clip's end are masked: they count in no loss of the reconstruction, and
    the discriminator sees them alike in both. Spectrograms are kept in memory up to `memory_gb`.

    Networks. `start` is a model folder or name whose codebook model the run starts from.
    Dropout is `model.dropout`. `judge_from_start` shows the discriminator data before its loss
    counts, as published, which moves its norms' statistics. `corrected_beta` puts the factor 0.25
    on the commitment term, as in the VQ-VAE paper; published is the other way round.

    Codes. Those unused for long are revived every `revive_every` steps before step
    `revive_until`; 0 revives none. From step `codes_fixed_from` on only the decoder learns, so
    that codes keep their meaning; None is never. Batches are then `decoder_batches`, levels
    of groups of `bands_per_group` bands are compared with weight `level_weight`, and in
    `part_share` of the steps only a part of the columns is decoded: norms see the whole input,
    and a decoder must bear other neighbours than the encoder saw.

    Steps. Rates rise over `warmup_steps`, then fall along a cosine to `final_share` of themselves
    (1 keeps them). With `rates_per_clip` they are multiplied by the clips of a step. `accumulate`
    splits a process's clips into that many parts, one after the other. `decay` is that of the
    average that is exported; None exports the weights themselves. `patience` checks without a
    better error on held-out clips end the run, which then exports the best state.
    """

    model: MelVQGANConfig
    discriminator: PatchDiscriminatorConfig = field(default_factory=PatchDiscriminatorConfig)
    weights: CodebookLossWeights = field(default_factory=CodebookLossWeights)
    distance: DistanceSettings = field(default_factory=DistanceSettings)
    start: str | None = None
    crops: CropSettings = field(default_factory=CropSettings)
    batches: tuple[CropBatch, ...]
    decoder_batches: tuple[CropBatch, ...] = ()
    corpus_shares: Literal["by clip", "even"] = "by clip"
    memory_gb: float = 8.0
    num_steps: int
    rate: float
    discriminator_rate: float
    rates_per_clip: bool = False
    warmup_steps: int = 0
    final_share: float = 1.0
    betas: tuple[float, float] = (0.5, 0.9)
    clip: float | None = None
    accumulate: int = 1
    precision: Precision = "fp32"
    decay: float | None = None
    judge_from_start: bool = True
    corrected_beta: bool = False
    revive_every: int = 0
    revive_until: int = 0
    codes_fixed_from: int | None = None
    level_weight: float = 0.0
    bands_per_group: int = 16
    part_share: float = 0.0
    patience: int | None = None
    smallest_change: float = 0.0
    check_clips: int = 256
    check_frames: int = 848
    log_every: int = 50
    check_every: int = 1000
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        problems = self._odd_lengths()
        end = self.num_steps if self.codes_fixed_from is None else self.codes_fixed_from
        if not 0 <= self.revive_until <= end <= self.num_steps:
            problems.append(
                f"expected 0 <= revive_until <= codes_fixed_from <= num_steps, got "
                f"{self.revive_until}, {self.codes_fixed_from}, {self.num_steps}"
            )
        if self.codes_fixed_from is not None and (self.decay is None or not self.decoder_batches):
            problems.append("codes_fixed_from needs decay and decoder_batches")
        if self.rates_per_clip and len(self.batches) > 1:
            problems.append("rates_per_clip needs one kind of batch")
        if self.weights.perceptual and self.distance.kind == "none":
            problems.append("weights.perceptual must be 0 where distance.kind is none")
        if self.accumulate < 1:
            problems.append(f"accumulate ({self.accumulate}) must be at least 1")
        if problems:
            raise ConfigError("codebook recipe: " + "; ".join(problems))

    def batches_at(self, step: int) -> tuple[CropBatch, ...]:
        """The batches that a step draws from."""
        return self.decoder_batches if self.are_codes_fixed(step) else self.batches

    def are_codes_fixed(self, step: int) -> bool:
        """Whether only the decoder learns in a step."""
        return self.codes_fixed_from is not None and step >= self.codes_fixed_from

    @property
    def largest_batch(self) -> int:
        """Clips of the step with the most of them."""
        return max(batch.clips for batch in (*self.batches, *self.decoder_batches))

    @property
    def rate_factor(self) -> int:
        """What the rates are multiplied by."""
        return self.batches[0].clips if self.rates_per_clip else 1

    def _odd_lengths(self) -> list[str]:
        step = self.model.downsample
        lengths = [batch.frames for batch in (*self.batches, *self.decoder_batches)]
        odd = [n for n in (*lengths, self.check_frames) if n < step or n % step]
        found = [f"frames {odd} must be multiples of {step}"] if odd else []
        clips = [batch.clips for batch in (*self.batches, *self.decoder_batches)]
        uneven = [n for n in clips if n < 1 or n % self.accumulate]
        if not self.batches or uneven:
            found.append(
                f"batches need clips, in multiples of accumulate ({self.accumulate}), got {clips}"
            )
        return found
