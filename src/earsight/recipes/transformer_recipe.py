"""Everything that decides the outcome of a run of the code transformer."""

from dataclasses import dataclass, field

from earsight.data.code_windows import BY_COLUMN, Visual
from earsight.data.collages import CollageConfig
from earsight.data.motion_pairs import TrackNoise
from earsight.errors import ConfigError
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.recipes.code_batches import VisitDraws
from earsight.recipes.coded_visits import Crop, Role
from earsight.training.precision import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerRecipe:
    """Everything that decides the outcome of a run.

    `model` None takes the sizes of `start`, as `visual` and `codebook` None take its kind of
    picture and its codebook. The number of classes follows from the corpora; `no_class` adds a
    row for clips without one. `roles` says what each corpus is, in their order; empty, it is
    worked out from them. `crops_per_clip` and `prepared_codes` are explained at `ClipSource`. A
    batch is worked on in `num_parts`. `patience` counts checks without a better held-out loss;
    with it the weights of the best check are exported. Rates rise over `warmup_steps` and fall
    along a cosine to `final_share` of themselves.
    """

    model: TokenGPTConfig | None
    num_steps: int
    codebook: str | None = "bundled"
    start: str | None = None
    visual: Visual | None = "resnet50"
    no_class: bool = True
    clock: bool = False
    dropout: float | None = None
    roles: tuple[Role, ...] = ()
    draws: VisitDraws = field(default_factory=VisitDraws)
    collages: CollageConfig = field(default_factory=CollageConfig)
    noise: TrackNoise = field(default_factory=TrackNoise)
    num_collages: int = 3000
    crop: Crop = "random"
    crops_per_clip: int | None = None
    prepared_codes: bool = False
    label_smoothing: float = 0.0
    batch: int = 16
    num_parts: int = 1
    rate: float = 1.5e-3
    final_share: float = 1.0
    warmup_steps: int = 0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip: float | None = None
    decay: float | None = None
    precision: Precision = "fp32"
    patience: int | None = None
    num_held_out: int | None = None
    log_every: int = 20
    check_every: int = 250
    save_every: int = 250
    store_half: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        if self.start is None and None in (self.model, self.visual, self.codebook):
            raise ConfigError("without a start the recipe needs model, visual and codebook")
        if self.draws.withholds_class and not self.no_class:
            raise ConfigError("classes are withheld as 'no class': set no_class, or no dropout")
        if self.batch % self.num_parts:
            raise ConfigError(f"a batch of {self.batch} does not divide into {self.num_parts}")
        if self.model is not None and self.visual is not None:
            refuse_misfit(self.model, self.visual)


def refuse_misfit(config: TokenGPTConfig, visual: Visual) -> None:
    """Raise ConfigError for a model that cannot take this kind of picture."""
    if (visual == "none") == config.has_features:
        raise ConfigError(f"a '{config.condition}' model and visual '{visual}' contradict")
    if visual in BY_COLUMN and config.num_features != config.grid_columns:
        raise ConfigError(
            f"'{visual}' gives one token per code column, the model has {config.num_features} "
            f"for {config.grid_columns} columns: set model.num_positions"
        )
