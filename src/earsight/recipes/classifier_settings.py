"""What the trainings of spectrogram classifiers have in common, as settings."""

from dataclasses import dataclass, field, replace

from earsight.data.labelled_clips import refuse_mixtures
from earsight.data.mel_crops import CropSettings, LevelChanges
from earsight.data.mel_wear import Wear
from earsight.errors import ConfigError
from earsight.frontends.specvqgan_mel import MODEL_FRAMES
from earsight.losses.classify import ClassWeights
from earsight.training.precision import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class FitSettings:
    """How a classifier is fitted; the defaults are those both published ones have in common.

    Every step draws one of the lengths in `crop_frames`. Rates rise over `warmup_steps` and fall
    along a cosine to `final_share` of themselves. A check judges the valid clips every
    `check_epochs` epochs; `patience` checks in a row without a lower cross-entropy (by more than
    `smallest_change`) end the run. `decay` averages the weights, and the average is what is checked
    and kept. Whole clips of at most `longest_frames` are judged. `half` stores the result as
    float16; `memory_gb` is what spectrograms may take.
    """

    batch: int
    num_epochs: int = 100
    crop_frames: tuple[int, ...] = (MODEL_FRAMES,)
    crops: CropSettings = field(default_factory=lambda: CropSettings(random=False))
    rate: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    final_share: float = 1.0
    clip: float | None = None
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "none"
    decay: float | None = None
    patience: int | None = 3
    smallest_change: float = 0.0
    check_epochs: int = 1
    check_batch: int = 16
    longest_frames: int = MODEL_FRAMES
    log_every: int = 50
    save_every: int = 1000
    precision: Precision = "fp32"
    memory_gb: float = 4.0
    half: bool = False
    seed: int = 1337

    def __post_init__(self) -> None:
        refuse_mixtures(self.crops)
        counted = (self.batch, self.num_epochs, self.check_epochs, self.check_batch, self.log_every)
        if min(*counted, self.save_every, self.longest_frames, *self.crop_frames) < 1:
            raise ConfigError("batch, epochs, frames and intervals must all be at least 1")
        if not self.crop_frames or max(self.crop_frames) > self.longest_frames:
            raise ConfigError(
                f"crop_frames {self.crop_frames} must name lengths of at most longest_frames "
                f"({self.longest_frames})"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")


def small_fit() -> FitSettings:
    """For small networks on a few thousand clips: random crops and levels, averaged weights."""
    return FitSettings(
        batch=16,
        num_epochs=40,
        crop_frames=(208,),
        crops=CropSettings(candidates=2, changes=LevelChanges(splice_share=0.0), wear=Wear()),
        rate=1e-3,
        weight_decay=1e-4,
        warmup_steps=100,
        final_share=0.02,
        clip=1.0,
        label_smoothing=0.05,
        class_weights="inverse",
        decay=0.995,
        patience=10,
        precision="bf16",
        half=True,
    )


def tiny_fit() -> FitSettings:
    """A few steps on a CPU through all that real settings go through."""
    return replace(
        small_fit(),
        batch=4,
        num_epochs=2,
        crop_frames=(24, 32),
        longest_frames=64,
        warmup_steps=1,
        log_every=1,
        save_every=2,
        precision="fp32",
    )
