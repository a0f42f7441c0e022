"""Fine-tuning of SSAST: its encoder, pre-trained on masked patches, learns the classes of clips.

Commands: `earsight train ssast_finetune.small --data ESC10 --run DIR --set
start=PRETRAIN_RUN/model`, `earsight train ssast_finetune.esc50 --data ESC50 --run DIR --folds`.
RUN/scores.json and RUN/model are written last. Published for the base patch network: accuracy 88.8
on ESC-50 and 98.0 on Speech Commands 2, mAP 31.0 on AudioSet's balanced part.
Source: Gong et al., "SSAST: self-supervised audio spectrogram transformer", 2022, sec. 3; official
repository YuanGongND/ssast. Differs from them: a batch may join two epochs; bfloat16.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import torch

from earsight.checkpoints.native import NativeFolder
from earsight.data.corpus import Corpus
from earsight.generate.bundles import build_network
from earsight.models.ssast import config as sizes
from earsight.models.ssast.config import SsastConfig, SsastTaggerConfig
from earsight.models.ssast.model import Ssast, SsastTagger
from earsight.models.ssast.start import fine_tuning
from earsight.recipes import ast
from earsight.recipes.audiomae_pretrain import preparation
from earsight.recipes.start_folder import open_start
from earsight.recipes.tagger_clips import TaggerData
from earsight.recipes.tagger_engine import train_tagger
from earsight.recipes.two_token_tagging import TwoTokenRecipe, TwoTokenTagging
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir
from earsight.training.schedules import EpochSchedule

__all__ = ["SETTINGS", "SsastFinetuneRecipe", "preparation", "train"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SsastFinetuneRecipe(TwoTokenRecipe):
    """Everything that decides the outcome of a run.

    Length, strides and pooling are those of `model`, classes those of the data. `start` is the
    model folder or name of a pre-trained SSAST of the same patch, width and depth.
    """

    model: SsastTaggerConfig = field(default_factory=SsastTaggerConfig)

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        TwoTokenRecipe.__post_init__(self)
        self.check_stripes(num_mels=self.model.num_mels, num_frames=self.model.num_frames)


def audioset_20k() -> SsastFinetuneRecipe:
    """The balanced part of AudioSet."""
    made = ast.audioset_balanced()
    return SsastFinetuneRecipe(
        start="ssast-base-patch-400",
        draws=made.draws,
        changes=made.changes,
        peak_rate=5e-5,
        schedule=made.schedule,
        num_epochs=25,
        average_epochs=(6, 25),
        precision="fp32",
    )


def esc50() -> SsastFinetuneRecipe:
    """ESC-50; `--folds` runs all five."""
    made = ast.esc50()
    return replace(
        audioset_20k(),
        model=SsastTaggerConfig(num_frames=512, num_classes=50),
        statistics="esc50",
        draws=made.draws,
        changes=replace(made.changes, uniform_noise=True),
        loss="softmax",
        judged_by="accuracy",
        peak_rate=1e-4,
        schedule=EpochSchedule(first=6, decay=0.85, slow_start=False),
        num_epochs=50,
        average_epochs=None,
    )


def speech_commands_2() -> SsastFinetuneRecipe:
    """Speech Commands 2 with patches of all bands and two frames, one frame apart."""
    made = ast.speech_commands_2()
    return replace(
        esc50(),
        model=SsastTaggerConfig(
            num_frames=128, patch=sizes.FRAME, strides=(128, 1), num_classes=35
        ),
        start="ssast-base-frame-400",
        statistics="speech_commands_v2",
        draws=made.draws,
        changes=made.changes,
        loss="binary",
        peak_rate=2.5e-4,
        schedule=made.schedule,
        num_epochs=30,
    )


def small() -> SsastFinetuneRecipe:
    """The network of `ssast_pretrain.small`; from random weights unless `start` is named."""
    return _like(ast.small())


def tiny() -> SsastFinetuneRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return _like(ast.tiny())


SETTINGS: Mapping[str, Callable[[], SsastFinetuneRecipe]] = {
    "audioset_20k": audioset_20k,
    "esc50": esc50,
    "speech_commands_2": speech_commands_2,
    "small": small,
    "tiny": tiny,
}


def train(
    recipe: SsastFinetuneRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train, or go on with a killed run to the same weights; raises as `train_tagger` does."""

    def begin(data: TaggerData) -> TwoTokenTagging[SsastTaggerConfig, SsastTagger]:
        start = open_start(recipe.start, ("ssast",), system="pre-trained SSAST")
        return TwoTokenTagging(
            recipe,
            data,
            world,
            family="ssast_tagger",
            title="SSAST, fine-tuned",
            full=replace(recipe.model, num_classes=len(data.class_names)),
            build=SsastTagger,
            begin=None if start is None else _beginning(start),
            start=start,
        )

    train_tagger(recipe, run, begin, corpora=corpora, world=world, resume=resume)


def _beginning(start: NativeFolder) -> Callable[[SsastTaggerConfig], SsastTagger]:
    network = build_network(Ssast, SsastConfig, start, "ssast", torch.device("cpu"))
    return lambda config: fine_tuning(network, config)


def _like(other: ast.AstRecipe) -> SsastFinetuneRecipe:
    """The same training of an SSAST of the same size."""
    theirs = other.model
    return SsastFinetuneRecipe(
        model=SsastTaggerConfig(
            num_frames=theirs.num_frames,
            strides=theirs.strides,
            width=theirs.width,
            num_layers=theirs.num_layers,
            num_heads=theirs.num_heads,
            hidden=theirs.hidden,
            num_classes=theirs.num_classes,
        ),
        **{name: getattr(other, name) for name in SHARED},
    )


SHARED = tuple(each.name for each in fields(TwoTokenRecipe))
"""Settings that AST and SSAST have in common."""
