"""Settings that the trainings of all taggers share."""

from dataclasses import dataclass, field
from typing import Literal

from earsight.errors import ConfigError
from earsight.frontends.kaldi_fbank import PUBLISHED
from earsight.recipes.start_folder import check_start
from earsight.recipes.tagger_clips import ClipChanges, DrawSettings, TagLoss
from earsight.recipes.tagger_report import JudgedBy
from earsight.training.curriculum import Curriculum
from earsight.training.precision import Precision

Keep = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggerRecipe:
    """What decides the outcome of a training, whatever the network.

    A clip longer than the network's input is judged by the mean over `num_windows` parts of it,
    evenly spread. `curriculum` puts coarse phases before the full resolution, which has
    `num_epochs`. `num_parts` computes a step's batch in as many parts, to save memory. `decay`
    follows the weights by a moving average, which is then checked and kept; `average_epochs` (first
    and last, counted from 1) exports the plain mean of the weights after those epochs,
    `average_best` that after so many checks at full resolution with the highest scores. `keep` says
    which weights are exported otherwise: those of the best check, or the last ones, as a training
    needs whose valid clips are its test clips. `patience` checks in a row without a better score
    end the run.
    """

    draws: DrawSettings = field(default_factory=DrawSettings)
    loss: TagLoss = "binary"
    label_smoothing: float = 0.0
    judged_by: JudgedBy = "mean_average_precision"
    num_windows: int = 1
    curriculum: Curriculum = field(default_factory=Curriculum)
    num_epochs: int = 100
    num_parts: int = 1
    clip: float | None = None
    decay: float | None = None
    average_epochs: tuple[int, int] | None = None
    average_best: int = 0
    keep: Keep = "best"
    patience: int | None = None
    precision: Precision = "bf16"
    recompute: bool = False
    memory_gb: float = 4.0
    check_batch: int = 32
    check_epochs: int = 1
    log_every: int = 50
    save_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        counted = (self.draws.batch, self.num_epochs, self.check_batch, self.check_epochs)
        if min(*counted, self.log_every, self.save_every, self.num_parts, self.num_windows) < 1:
            raise ConfigError("batch, epochs, parts, windows and intervals must all be at least 1")
        if self.draws.batch % self.num_parts:
            raise ConfigError(
                f"a batch of {self.draws.batch} makes no {self.num_parts} equal parts"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if self.average_epochs is not None:
            first, last = self.average_epochs
            if not 1 <= first <= last <= self.num_epochs or self.decay is not None:
                raise ConfigError(
                    f"average_epochs ({first}, {last}) must lie in 1..{self.num_epochs}, and there "
                    "must be no decay beside them"
                )
        if self.average_best < 0 or (self.average_best and (self.average_epochs or self.decay)):
            raise ConfigError(
                f"average_best ({self.average_best}) must be 0 or more, and there must be neither "
                "average_epochs nor decay beside it"
            )
        if self.curriculum.plateau_patience is not None and self.check_epochs != 1:
            raise ConfigError(
                "phases that end where the valid curve flattens need a check after every epoch: "
                f"check_epochs is {self.check_epochs}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class FbankTaggerRecipe(TaggerRecipe):
    """What the trainings of networks on log filterbanks share beside that.

    `start` names what the network begins with; empty for random weights. `statistics` names
    published ones, or "measured", or "start" for those the start was trained with.
    """

    start: str = ""
    statistics: str = "audioset"
    changes: ClipChanges = field(default_factory=ClipChanges)

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        TaggerRecipe.__post_init__(self)
        check_start(self.start, self.statistics)

    def check_stripes(self, *, num_mels: int, num_frames: int) -> None:
        """Raise ConfigError for other bands than the front end has, and too wide time masks."""
        if num_mels != PUBLISHED.num_mels:
            raise ConfigError(f"expected {PUBLISHED.num_mels} mel bands, got {num_mels}")
        stripes = self.changes.stripes
        if stripes.num_time and stripes.time_width > num_frames:
            raise ConfigError(
                f"stripes of up to {stripes.time_width} frames do not fit {num_frames}"
            )
