"""Training of AST: a transformer over patches of a log filterbank learns the classes of clips.

Commands: `earsight train ast.small --data ESC10 --run DIR`,
`earsight train ast.audioset --data AUDIOSET --run DIR --set start=DEIT.pth`; coarse phases first:
`--set curriculum.factors=[4] --set curriculum.epochs=[10]`. RUN/scores.json and RUN/model are
written last. Published: mAP 45.9 on AudioSet (averaged), 34.7 on its balanced part, accuracy 95.7
on ESC-50 and 98.1 on Speech Commands 2; with coarse phases 53.8 on VGGSound, 47.6 on VoxCeleb,
65.4 on Kinetics-Sounds, mAP 44.4 on AudioSet.
Sources: Gong et al., "AST: audio spectrogram transformer", 2021, sec. 3; official repository
YuanGongND/ast; Feng et al., "From coarse to fine: efficient training for audio spectrogram
transformers", 2024. Differs from them: a batch may join two epochs; bfloat16.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from earsight.checkpoints.native import NativeFolder
from earsight.checkpoints.restricted import read_checkpoint, state_entries
from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import WaveCut
from earsight.errors import InputError
from earsight.frontends.htsat_augment import Stripes
from earsight.generate.bundles import build_network
from earsight.models.ast.config import AstConfig
from earsight.models.ast.model import Ast
from earsight.models.ast.start import carried_over, from_image
from earsight.recipes.audiomae_pretrain import preparation
from earsight.recipes.start_folder import open_start
from earsight.recipes.tagger_clips import ClipChanges, DrawSettings, TaggerData
from earsight.recipes.tagger_engine import train_tagger
from earsight.recipes.two_token_tagging import TwoTokenRecipe, TwoTokenTagging
from earsight.training.curriculum import Curriculum
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir
from earsight.training.schedules import EpochSchedule

__all__ = ["SETTINGS", "AstRecipe", "preparation", "train"]

WHOLE_PATCHES = (16, 16)


@dataclass(frozen=True, kw_only=True, slots=True)
class AstRecipe(TwoTokenRecipe):
    """Everything that decides the outcome of a run.

    Length and strides are those of `model`, classes those of the data. `start` is the model folder
    of an AST, whose classifier is dropped, or the file of a distilled DeiT for pictures.
    """

    model: AstConfig = field(default_factory=AstConfig)

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        TwoTokenRecipe.__post_init__(self)
        self.check_stripes(num_mels=self.model.num_mels, num_frames=self.model.num_frames)


def audioset() -> AstRecipe:
    """All of AudioSet, rare classes drawn more often; needs an image network as its start."""
    return AstRecipe(
        draws=DrawSettings(batch=12, weighted=True),
        changes=_changes(192, 48, mixup=0.5),
        num_epochs=5,
        average_epochs=(1, 5),
    )


def audioset_balanced() -> AstRecipe:
    """The balanced part of AudioSet."""
    return replace(
        audioset(),
        draws=DrawSettings(batch=12),
        peak_rate=5e-5,
        schedule=EpochSchedule(first=10, every=5),
        num_epochs=25,
        average_epochs=(6, 25),
    )


def esc50() -> AstRecipe:
    """ESC-50 from AudioSet's weights; `--folds` runs all five."""
    return replace(
        audioset_balanced(),
        model=AstConfig(num_frames=512, num_classes=50),
        start="ast",
        statistics="esc50",
        draws=DrawSettings(batch=48),
        changes=_changes(96, 24),
        loss="softmax",
        judged_by="accuracy",
        peak_rate=1e-5,
        schedule=EpochSchedule(first=5, decay=0.85, slow_start=False),
        average_epochs=None,
    )


def speech_commands_2() -> AstRecipe:
    """Speech Commands 2, 35 words; needs an image network as its start."""
    return replace(
        esc50(),
        model=AstConfig(num_frames=128, num_classes=35),
        start="",
        statistics="speech_commands_v2",
        draws=DrawSettings(batch=128),
        changes=replace(_changes(48, 48, mixup=0.6), uniform_noise=True),
        loss="binary",
        peak_rate=2.5e-4,
        num_epochs=30,
    )


def coarse_vggsound() -> AstRecipe:
    """The coarse-to-fine paper's VGGSound: 5 epochs of four times longer frame shifts, then 20.

    The paper's baseline is the same without `curriculum`.
    """
    return _coarse("vggsound", coarse_epochs=5)


def coarse_voxceleb() -> AstRecipe:
    """The coarse-to-fine paper's VoxCeleb speakers."""
    return replace(_coarse("voxceleb", coarse_epochs=5), loss="softmax")


def coarse_audioset() -> AstRecipe:
    """The coarse-to-fine paper's AudioSet: 1 coarse epoch, then 5."""
    return replace(
        audioset(),
        model=AstConfig(strides=WHOLE_PATCHES),
        average_epochs=None,
        curriculum=_four_times(1),
    )


def small() -> AstRecipe:
    """A network of 0.9 million weights for a few hundred clips on a CPU, from random weights.

    Windows of 2.56 s; the score of a clip is the mean over two.
    """
    return AstRecipe(
        model=AstConfig(
            num_frames=256,
            strides=WHOLE_PATCHES,
            width=128,
            num_layers=4,
            num_heads=2,
            hidden=512,
            num_classes=2,
        ),
        statistics="measured",
        draws=DrawSettings(batch=32),
        changes=replace(_changes(48, 24, mixup=0.5), cut=WaveCut(fill="repeat")),
        loss="softmax",
        judged_by="accuracy",
        label_smoothing=0.05,
        num_windows=2,
        num_epochs=60,
        peak_rate=1e-3,
        schedule=EpochSchedule(kind="cosine", warmup_epochs=3.0),
        betas=(0.9, 0.98),
        weight_decay=1e-6,
        clip=1.0,
        check_epochs=5,
        log_every=20,
        save_every=500,
    )


def tiny() -> AstRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    made = small()
    return replace(
        made,
        model=replace(made.model, num_frames=64, width=16, num_layers=1, num_heads=2, hidden=32),
        draws=DrawSettings(batch=2, weighted=True, num_draws=4),
        changes=replace(_changes(16, 16, mixup=0.5), cut=WaveCut(fill="repeat")),
        num_epochs=2,
        check_batch=3,
        check_epochs=1,
        log_every=1,
        save_every=2,
        precision="fp32",
    )


SETTINGS: Mapping[str, Callable[[], AstRecipe]] = {
    "audioset": audioset,
    "audioset_balanced": audioset_balanced,
    "esc50": esc50,
    "speech_commands_2": speech_commands_2,
    "coarse_audioset": coarse_audioset,
    "coarse_vggsound": coarse_vggsound,
    "coarse_voxceleb": coarse_voxceleb,
    "small": small,
    "tiny": tiny,
}


def train(
    recipe: AstRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train, or go on with a killed run to the same weights; raises as `train_tagger` does."""

    def begin(data: TaggerData) -> TwoTokenTagging[AstConfig, Ast]:
        start, from_start = open_ast(recipe.start)
        return TwoTokenTagging(
            recipe,
            data,
            world,
            family="ast",
            title="AST",
            full=replace(recipe.model, num_classes=len(data.class_names)),
            build=Ast,
            begin=from_start,
            start=start,
        )

    train_tagger(recipe, run, begin, corpora=corpora, world=world, resume=resume)


def open_ast(source: str) -> tuple[NativeFolder | None, Callable[[AstConfig], Ast] | None]:
    """An AST's folder or a published image network's file, and how a network begins with it.

    Neither for no source. Raises InputError for a source that is none of them, WeightsError for a
    file that is no checkpoint.
    """
    if source.endswith((".pth", ".pt", ".safetensors")):
        path = Path(source)
        if not path.is_file():
            raise InputError(
                f"start: there is no file {path}: fetch one by 'earsight weights fetch deit-base'"
            )
        entries = state_entries(read_checkpoint(path))
        return None, lambda config: from_image(config, entries)
    start = open_start(source, ("ast",), system="AST")
    if start is None:
        return None, None
    network = build_network(Ast, AstConfig, start, "ast", torch.device("cpu"))
    return start, lambda config: carried_over(network, config)


def _coarse(statistics: str, *, coarse_epochs: int) -> AstRecipe:
    """As official code of the same authors trains FlexiAST, without mixtures and averages."""
    return replace(
        audioset(),
        model=AstConfig(strides=WHOLE_PATCHES),
        statistics=statistics,
        draws=DrawSettings(batch=12),
        changes=_changes(192, 48),
        judged_by="accuracy",
        num_epochs=20,
        average_epochs=None,
        curriculum=_four_times(coarse_epochs),
    )


def _four_times(epochs: int) -> Curriculum:
    return Curriculum(factors=(4,), epochs=(epochs,))


def _changes(time: int, bands: int, *, mixup: float = 0.0) -> ClipChanges:
    """As published: no roll and no gain."""
    return ClipChanges(
        cut=WaveCut(start="first", gain="none"),
        mixup=mixup,
        stripes=Stripes(num_time=1, time_width=time, num_bands=1, band_width=bands),
    )
