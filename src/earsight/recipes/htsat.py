"""Training of HTS-AT: a window transformer on folded spectrograms learns the classes of clips.

Commands: `earsight train htsat.small --data ESC10 --run DIR`,
`earsight train htsat.audioset --data AUDIOSET --run DIR --set start=SWIN.pth`; coarse phases first:
`--set curriculum.factors=[4] --set curriculum.epochs=[10]`. RUN/scores.json and RUN/model are
written last. Published: mAP 47.1 on AudioSet (mean weights; 48.7 with six networks), accuracy 97.0
on ESC-50 and 98.0 on Speech Commands 2; with a coarse phase mAP 46.8 on AudioSet and accuracy 53.0
on VGGSound.
Sources: Chen et al., "HTS-AT: a hierarchical token-semantic audio transformer", 2022, sec. 3;
official repository RetroCirce/HTS-Audio-Transformer; Feng et al., "From coarse to fine: efficient
training for audio spectrogram transformers", 2024. Differs from them: one check an epoch instead of
ten; a batch may join two epochs; bfloat16; prepared sounds have nothing above 11 kHz.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import WaveCut
from earsight.frontends import htsat_mel
from earsight.frontends.htsat_augment import Stripes
from earsight.models.htsat.config import HtsatConfig
from earsight.recipes.audiomae_pretrain import preparation
from earsight.recipes.htsat_tagging import HtsatRecipe, HtsatTagging, open_htsat
from earsight.recipes.tagger_clips import ClipChanges, DrawSettings, TaggerData
from earsight.recipes.tagger_engine import train_tagger
from earsight.training.curriculum import Curriculum
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir
from earsight.training.schedules import EpochSchedule

__all__ = ["SETTINGS", "preparation", "train"]

GROUP = 32
"""Clips that are mixed among each other: as published, those of one of four GPUs."""


def audioset() -> HtsatRecipe:
    """All of AudioSet, a clip of every class in turn; needs an image network as its start.

    The mean is over the 20 best checks, which published training keeps to choose from.
    """
    return HtsatRecipe(
        draws=DrawSettings(batch=128, balanced=True), mixup_group=GROUP, average_best=20
    )


def audioset_paper() -> HtsatRecipe:
    """AudioSet with the paper's learning rates; published code has others."""
    return replace(audioset(), schedule=EpochSchedule(kind="htsat_paper"))


def esc50() -> HtsatRecipe:
    """ESC-50 from AudioSet's weights, clips twice in a row; `--folds` runs all five."""
    return HtsatRecipe(
        model=HtsatConfig(num_classes=50, labels="one"),
        start="htsat-audioset-1",
        draws=DrawSettings(batch=128),
        changes=_repeated(),
        loss="softmax",
        judged_by="accuracy",
    )


def speech_commands_2() -> HtsatRecipe:
    """Speech Commands 2, 35 words, from AudioSet's weights; clips over and over for 10 s."""
    return replace(
        esc50(),
        model=HtsatConfig(num_classes=35),
        mel=htsat_mel.speech_commands(),
        loss="binary",
    )


def coarse_audioset() -> HtsatRecipe:
    """The coarse-to-fine paper's AudioSet: 7 epochs of four times longer hops, then 18.

    Its baseline has 25 epochs and exports the mean of the 15 best; the paper does not tell how
    many are coarse: 7 come closest to the computation that it saves.
    """
    return replace(
        audioset(),
        average_best=15,
        num_epochs=18,
        curriculum=Curriculum(factors=(4,), epochs=(7,)),
    )


def coarse_vggsound() -> HtsatRecipe:
    """The coarse-to-fine paper's VGGSound, 50 epochs, of which as large a share is coarse."""
    return replace(
        coarse_audioset(),
        model=HtsatConfig(num_classes=309, labels="one"),
        draws=DrawSettings(batch=128),
        mixup_group=None,
        average_best=0,
        loss="softmax",
        judged_by="accuracy",
        num_epochs=36,
        curriculum=Curriculum(factors=(4,), epochs=(14,)),
    )


def small() -> HtsatRecipe:
    """A network of 2.3 million weights for a few hundred clips on a CPU, from random weights.

    The published spectrogram in windows of 2.55 s; the score of a clip is the mean over two.
    """
    return HtsatRecipe(
        model=HtsatConfig(
            picture=128,
            width=32,
            depths=(2, 2, 2, 2),
            num_heads=(2, 4, 8, 16),
            num_classes=2,
            labels="one",
        ),
        clip_seconds=2.55,
        draws=DrawSettings(batch=32),
        changes=ClipChanges(
            cut=WaveCut(fill="repeat"),
            mixup=0.5,
            stripes=Stripes(num_time=2, time_width=24, num_bands=2, band_width=8),
        ),
        loss="softmax",
        judged_by="accuracy",
        label_smoothing=0.05,
        num_windows=2,
        num_epochs=60,
        schedule=EpochSchedule(kind="cosine", warmup_epochs=3.0),
        check_epochs=5,
        log_every=20,
        save_every=500,
    )


def tiny() -> HtsatRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    made = small()
    return replace(
        made,
        model=replace(made.model, width=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
        clip_seconds=0.8,
        draws=DrawSettings(batch=4, balanced=True),
        changes=replace(made.changes, stripes=Stripes(time_width=8, band_width=8)),
        mixup_group=2,
        num_epochs=2,
        check_batch=3,
        check_epochs=1,
        log_every=1,
        save_every=2,
        precision="fp32",
    )


SETTINGS: Mapping[str, Callable[[], HtsatRecipe]] = {
    "audioset": audioset,
    "audioset_paper": audioset_paper,
    "esc50": esc50,
    "speech_commands_2": speech_commands_2,
    "coarse_audioset": coarse_audioset,
    "coarse_vggsound": coarse_vggsound,
    "small": small,
    "tiny": tiny,
}


def train(
    recipe: HtsatRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train, or go on with a killed run to the same weights; raises as `train_tagger` does."""

    def begin(data: TaggerData) -> HtsatTagging:
        start = open_htsat(recipe.start, data.class_names)
        return HtsatTagging(recipe, data, world, start=start)

    train_tagger(
        recipe,
        run,
        begin,
        corpora=corpora,
        world=world,
        resume=resume,
        rate_hz=recipe.mel.rate_hz,
        min_samples=recipe.mel.fft_samples // 2 + 1,
    )


def _repeated() -> ClipChanges:
    return ClipChanges(
        cut=WaveCut(start="first", gain="none", fill="repeat"), mixup=0.0, stripes=Stripes()
    )
