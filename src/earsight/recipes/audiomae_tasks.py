"""Settings of Audio-MAE's fine-tuning: the paper's six tasks, the official scripts', small ones.

Source: Huang et al., "Masked autoencoders that listen", 2022, appendix; official repository
facebookresearch/AudioMAE.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from earsight.data.fbank_clips import WaveCut
from earsight.errors import ConfigError
from earsight.frontends.htsat_augment import Stripes
from earsight.models.audiomae.config import AudioTaggerConfig, vit_base
from earsight.models.audiomae.groups import LAYER_DECAY
from earsight.models.audiomae.masking import Masking, fine_tuning
from earsight.recipes import audiomae_pretrain
from earsight.recipes.tagger_clips import ClipChanges, DrawSettings, TagLoss
from earsight.recipes.tagger_recipe import FbankTaggerRecipe

RATE_BATCH = 256
"""Batch that `base_rate` is given for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinetuneRecipe(FbankTaggerRecipe):
    """Everything that decides the outcome of a run; the defaults are the paper's for AudioSet.

    `start` is a model folder or name of a pre-trained or fine-tuned Audio-MAE, whose encoder is
    taken with its sizes; empty for random weights of `model`'s sizes. Length and classes are those
    of `model` and of the data. The rate is `base_rate` for a batch of 256; `layer_decay` lowers it
    from block to block. `masking` hides tokens in training.
    """

    model: AudioTaggerConfig = field(default_factory=AudioTaggerConfig)
    start: str = "audiomae-pretrained"
    draws: DrawSettings = field(default_factory=DrawSettings)
    masking: Masking = field(default_factory=lambda: fine_tuning(time=0.3, frequency=0.3))
    warmup_epochs: float = 20.0
    base_rate: float = 2e-4
    lowest_rate: float = 1e-6
    layer_decay: float = LAYER_DECAY
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        FbankTaggerRecipe.__post_init__(self)
        encoder = self.model.encoder
        self.check_stripes(num_mels=encoder.num_mels, num_frames=encoder.num_frames)
        if not 0 <= self.warmup_epochs < self.num_epochs:
            raise ConfigError(
                f"warmup_epochs ({self.warmup_epochs:g}) must lie in 0..num_epochs - 1 "
                f"({self.num_epochs - 1})"
            )

    @property
    def rate(self) -> float:
        """Highest learning rate."""
        return self.base_rate * self.draws.batch / RATE_BATCH


def audioset() -> FinetuneRecipe:
    """All of AudioSet, 200,000 weighted draws an epoch. Source: paper, appendix."""
    return FinetuneRecipe(draws=DrawSettings(weighted=True, num_draws=200_000))


def audioset_script() -> FinetuneRecipe:
    """The same as the official script runs it: mAP 47.29 in its log."""
    return replace(
        _as_script(audioset()),
        draws=DrawSettings(batch=256, weighted=True, num_draws=200_000),
        warmup_epochs=10.0,
    )


def audioset_20k() -> FinetuneRecipe:
    """The balanced part of AudioSet, 32 clips a step. Source: paper, appendix."""
    return replace(
        audioset(),
        draws=DrawSettings(batch=32),
        base_rate=1e-3,
        num_epochs=60,
        warmup_epochs=4.0,
    )


def audioset_20k_script() -> FinetuneRecipe:
    """The same as the official script runs it: mAP about 37.0."""
    return _as_script(audioset_20k())


def esc50() -> FinetuneRecipe:
    """ESC-50, one class a clip, no mixing. Source: paper, appendix."""
    changes = ClipChanges(mixup=0.0, stripes=_stripes(96, 24))
    return _short_task("esc50", num_frames=512, batch=64, changes=changes, loss="softmax")


def esc10() -> FinetuneRecipe:
    """ESC-10 as `esc50` has it, with statistics of its own; `--folds` runs all five."""
    return replace(esc50(), statistics="measured")


def fsdd() -> FinetuneRecipe:
    """Spoken digits or their speakers (FSDD) as `speech_commands_2` has them, one class a clip."""
    made = speech_commands_2()
    cut = replace(made.changes.cut, fill="repeat")
    return replace(
        made,
        statistics="measured",
        draws=DrawSettings(batch=64),
        changes=replace(made.changes, cut=cut, mixup=0.0),
        loss="softmax",
    )


def speech_commands_2() -> FinetuneRecipe:
    """Speech Commands 2, 35 words. Source: paper, appendix."""
    changes = ClipChanges(noise_db=20.0, stripes=_stripes(48, 48))
    return _short_task("speech_commands_v2", num_frames=128, batch=256, changes=changes)


def speech_commands_1() -> FinetuneRecipe:
    """Speech Commands 1: rare classes repeated to half of "unknown". Source: paper, appendix."""
    changes = ClipChanges(noise_db=20.0, stripes=_stripes(48, 48))
    task = _short_task("speech_commands_v1", num_frames=128, batch=256, changes=changes)
    draws = DrawSettings(batch=256, repeat_to=0.5)
    return replace(task, draws=draws, num_epochs=10, warmup_epochs=1.0)


def speakers() -> FinetuneRecipe:
    """VoxCeleb speakers (SID), 1251 of them. Source: paper, appendix."""
    changes = ClipChanges(mixup=0.0, noise_db=20.0)
    return _short_task(
        "voxceleb_speakers", num_frames=1024, batch=64, changes=changes, loss="softmax"
    )


def small() -> FinetuneRecipe:
    """The encoder of `audiomae_pretrain.small`, for a few hundred clips on a CPU.

    Rates are those for a pre-trained `start`; from random weights, which is what it does without
    one, a `layer_decay` of 1, a `base_rate` of 8e-3 and twice the epochs do better. Windows of
    2.56 s; the score of a clip is the mean over two.
    """
    return replace(
        audioset_20k(),
        model=AudioTaggerConfig(encoder=audiomae_pretrain.small().model.encoder, num_classes=2),
        start="",
        statistics="measured",
        changes=ClipChanges(cut=WaveCut(fill="repeat"), stripes=_stripes(48, 24)),
        masking=fine_tuning(),
        num_windows=2,
        loss="softmax",
        judged_by="accuracy",
        label_smoothing=0.05,
        num_epochs=40,
        base_rate=1.6e-2,
        layer_decay=0.65,
        weight_decay=0.05,
        clip=1.0,
        decay=0.99,
        keep="last",
        precision="fp32",
        check_epochs=10,
        log_every=10,
        save_every=200,
    )


def tiny() -> FinetuneRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    encoder = audiomae_pretrain.tiny().model.encoder
    draws = DrawSettings(batch=2, weighted=True, num_draws=4, repeat_to=0.5)
    stripes = _stripes(16, 16)
    return replace(
        small(),
        model=AudioTaggerConfig(encoder=encoder, num_classes=2),
        draws=draws,
        changes=ClipChanges(cut=WaveCut(fill="repeat"), stripes=stripes, noise_db=20.0),
        num_epochs=2,
        warmup_epochs=0.5,
        check_batch=3,
        check_epochs=1,
        log_every=1,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], FinetuneRecipe]] = {
    "audioset": audioset,
    "audioset_script": audioset_script,
    "audioset_20k": audioset_20k,
    "audioset_20k_script": audioset_20k_script,
    "esc50": esc50,
    "esc10": esc10,
    "fsdd": fsdd,
    "speech_commands_2": speech_commands_2,
    "speech_commands_1": speech_commands_1,
    "speakers": speakers,
    "small": small,
    "tiny": tiny,
}


def _as_script(recipe: FinetuneRecipe) -> FinetuneRecipe:
    """What the official scripts do otherwise than the paper says."""
    return replace(
        recipe,
        masking=fine_tuning(),
        weight_decay=5e-4,
        betas=(0.9, 0.999),
        changes=replace(recipe.changes, cut=WaveCut(start="first", gain="beta")),
    )


def _short_task(
    statistics: str,
    *,
    num_frames: int,
    batch: int,
    changes: ClipChanges,
    loss: TagLoss = "binary",
) -> FinetuneRecipe:
    """What the paper's tasks of one class a clip have in common."""
    return replace(
        audioset_20k(),
        model=AudioTaggerConfig(encoder=vit_base(num_frames=num_frames)),
        statistics=statistics,
        draws=DrawSettings(batch=batch),
        changes=changes,
        loss=loss,
        judged_by="accuracy",
    )


def _stripes(time_width: int, band_width: int) -> Stripes:
    return Stripes(num_time=1, time_width=time_width, num_bands=1, band_width=band_width)
