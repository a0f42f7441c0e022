"""Settings that the trainings without classes share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earsight.data.fbank_clips import WaveCut
from earsight.errors import ConfigError
from earsight.recipes.start_folder import check_start
from earsight.training.curriculum import Curriculum
from earsight.training.precision import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingRecipe:
    """What decides the outcome of a training, whatever the network.

    `start` is the model folder of an earlier pre-training of the same sizes whose weights the run
    begins with; empty for random weights. `statistics` names published ones of
    `frontends.fbank_statistics`, "measured" those of the training clips, "start" those that the
    start was trained with. `curriculum` puts coarse phases before the full resolution, which has
    `num_epochs`. `num_parts` computes a step's batch in as many parts, to save memory.

    A check judges at most `num_held_out` valid clips, with the same patches hidden every time,
    after `check_every` steps, or where that is None after `check_epochs` epochs. `patience` checks
    in a row without a better score end the run, and the weights of the best check are exported,
    without a patience the last ones; only the last phase counts for either.
    """

    start: str = ""
    statistics: str = "audioset"
    cut: WaveCut = field(default_factory=WaveCut)
    curriculum: Curriculum = field(default_factory=Curriculum)
    num_epochs: int = 32
    batch: int = 512
    num_parts: int = 1
    clip: float | None = None
    precision: Precision = "bf16"
    memory_gb: float = 4.0
    num_held_out: int = 512
    check_batch: int = 32
    check_epochs: int = 1
    check_every: int | None = None
    patience: int | None = None
    log_every: int = 50
    save_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown statistics, and sizes and intervals that make no run."""
        check_start(self.start, self.statistics)
        counted = (self.batch, self.num_epochs, self.num_parts, self.num_held_out)
        often = (self.check_batch, self.check_epochs, self.check_every or 1)
        if min(*counted, *often, self.log_every, self.save_every) < 1:
            raise ConfigError(
                "batch, epochs, parts, held-out clips and intervals must be at least 1"
            )
        if self.batch % self.num_parts:
            raise ConfigError(
                f"a batch of {self.batch} makes no {self.num_parts} equal parts: choose num_parts "
                "that divide it"
            )
        if not self.curriculum.scaled_masks:
            raise ConfigError(
                "curriculum.scaled_masks: a pre-training hides the same share of the patches in "
                "every phase, so it can only be true"
            )

    def check_lengths(self, num_frames: int) -> None:
        """Raise ConfigError where a coarse phase cannot halve (or quarter, ...) so many frames."""
        for factor in self.curriculum.factors:
            if num_frames % factor:
                raise ConfigError(
                    f"curriculum.factors: {num_frames} frames do not divide by {factor}"
                )

    def check_warmup(self, warmup_epochs: float) -> None:
        """Raise ConfigError where a phase is not longer than the warm-up that it begins with."""
        for what, num_epochs in (
            *(("curriculum.epochs", epochs) for epochs in self.curriculum.epochs),
            ("num_epochs", self.num_epochs),
        ):
            if not 0 <= warmup_epochs < num_epochs:
                raise ConfigError(
                    f"warmup_epochs ({warmup_epochs:g}) must lie in 0..{what} - 1 "
                    f"({num_epochs - 1}): every phase warms up anew"
                )


def preparation(recipe: object) -> Mapping[str, Any]:
    """How folders of media are prepared for this: no picture features, so sounds alone count too.

    The same for every recipe that hears only.
    """
    del recipe
    return {"features": ()}
