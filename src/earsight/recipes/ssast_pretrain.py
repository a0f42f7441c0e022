"""Pre-training of SSAST: hidden patches of a spectrogram have to be told apart and rebuilt.

Commands: `earsight train ssast_pretrain.published --data AUDIOSET LIBRISPEECH --run DIR`,
`earsight train ssast_pretrain.small --data FOLEYROOM ESC10 --run DIR`. Needs sounds alone, no
classes. RUN/model is what `ssast_finetune` starts from; checks tell on held-out clips the share of
hidden patches that were found (`accuracy`) and both losses (`match`, `rebuild`), and TensorBoard
shows one of them whole, hidden and rebuilt. Coarse phases first: `ssast_pretrain.coarse`, or
`--set curriculum.factors=[4] --set curriculum.epochs=[10]`.
Sources: Gong et al., "SSAST: self-supervised audio spectrogram transformer", 2022, sec. 2 and 3;
official repository YuanGongND/ssast; Feng et al., "From coarse to fine: efficient training for
audio spectrogram transformers", 2024, sec. 4. Differs from them: a batch may join two epochs.

Axes: b clips, t frames, m mel bands, n patches, v values of a patch, k masked patches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam, Optimizer

from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import WaveCut
from earsight.errors import ConfigError
from earsight.frontends.kaldi_fbank import PUBLISHED, FbankSettings
from earsight.losses.masked_patches import REBUILD_WEIGHT, pretext_losses
from earsight.models.ssast import config as published_sizes
from earsight.models.ssast.coarse import carried_network, sizes_at
from earsight.models.ssast.config import SsastConfig
from earsight.models.ssast.masking import mask_numbers_each
from earsight.models.ssast.model import Ssast
from earsight.recipes.pretext import Shown
from earsight.recipes.pretraining_loop import pretrain
from earsight.recipes.pretraining_recipe import PretrainingRecipe, preparation
from earsight.training.coarse_to_fine import Compression
from earsight.training.curriculum import Curriculum
from earsight.training.distributed import ALONE, World
from earsight.training.precision import Precision, autocast
from earsight.training.rundir import RunDir
from earsight.training.schedules import epoch_warmup_cosine, warmup_milestones

__all__ = ["SETTINGS", "SsastPretext", "SsastRecipe", "preparation", "train"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SsastRecipe(PretrainingRecipe):
    """Everything that decides the outcome of a run; the defaults are those of the base network.

    `num_masked` of the patches at full resolution are hidden for each of both tasks, and as large a
    share of them in coarse phases. Minimised is the match loss plus `rebuild_weight` times the
    rebuild loss. `schedule`: `halved` warms up over 1000 steps, then halves the rate where the
    accuracy was not better in more than `halve_patience` checks in a row; `cosine` warms up over
    `warmup_epochs`, then falls along half a cosine to 0. `recompute` saves memory.
    """

    model: SsastConfig = field(default_factory=SsastConfig)
    num_masked: int = 400
    rebuild_weight: float = REBUILD_WEIGHT
    cut: WaveCut = field(default_factory=lambda: WaveCut(start="first", gain="none"))
    num_epochs: int = 10
    batch: int = 24
    peak_rate: float = 1e-4
    betas: tuple[float, float] = (0.95, 0.999)
    weight_decay: float = 5e-7
    schedule: Literal["halved", "cosine"] = "halved"
    halve_patience: int = 2
    warmup_epochs: float = 0.0
    precision: Precision = "fp32"
    recompute: bool = False
    check_every: int | None = 4000

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        PretrainingRecipe.__post_init__(self)
        if self.model.num_mels != PUBLISHED.num_mels:
            raise ConfigError(f"expected {PUBLISHED.num_mels} bands, got {self.model.num_mels}")
        self.check_lengths(self.model.num_frames)
        self.check_warmup(self.warmup_epochs)
        for phase in self.curriculum.phases(fine_epochs=self.num_epochs):
            config = sizes_at(self.model, phase.compression)
            masked, most = self.masked_of(config), config.num_patches - 2
            if not 0 < masked <= most:
                raise ConfigError(
                    f"num_masked ({self.num_masked} of {self.model.num_patches} patches, "
                    f"{masked} with a factor of {phase.compression.factor}) must hide 1..{most}"
                )

    def masked_of(self, config: SsastConfig) -> int:
        """How many patches are hidden of a network of other sizes: the same share, rounded."""
        return round(self.num_masked * config.num_patches / self.model.num_patches)


def published() -> SsastRecipe:
    """The base network on AudioSet and LibriSpeech, 400 of 512 patches of 16 x 16 hidden."""
    return SsastRecipe()


def frame() -> SsastRecipe:
    """The same with patches of all bands and two frames, better for speech."""
    return replace(published(), model=published_sizes.of_frames(SsastConfig()))


def tiny_published() -> SsastRecipe:
    """The published network of 6 million weights."""
    return replace(
        published(), model=published_sizes.tiny(), batch=120, peak_rate=5e-4, check_every=800
    )


def coarse() -> SsastRecipe:
    """The coarse-to-fine paper's: 100,000 steps with a frame shift of 40 ms, 500,000 of 10 ms.

    In epochs of AudioSet and LibriSpeech, of about 100,000 steps each; the paper's own SSAST takes
    800,000 steps without.
    """
    return replace(published(), curriculum=Curriculum(factors=(4,), epochs=(1,)), num_epochs=5)


def small() -> SsastRecipe:
    """A network of 0.9 million weights for a few hundred clips, on a CPU; pieces of 2.56 s."""
    return replace(
        published(),
        model=SsastConfig(num_frames=256, width=128, num_layers=4, num_heads=2, hidden=512),
        num_masked=100,
        cut=WaveCut(fill="repeat"),
        statistics="measured",
        num_epochs=100,
        batch=32,
        peak_rate=1e-3,
        schedule="cosine",
        warmup_epochs=5.0,
        clip=1.0,
        num_held_out=128,
        check_every=None,
        check_epochs=5,
        log_every=20,
        save_every=200,
    )


def tiny() -> SsastRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    return replace(
        small(),
        model=SsastConfig(num_frames=64, width=16, num_layers=1, num_heads=2, hidden=32),
        num_masked=20,
        num_epochs=2,
        warmup_epochs=0.5,
        batch=2,
        num_held_out=3,
        check_batch=2,
        check_epochs=1,
        log_every=1,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], SsastRecipe]] = {
    "published": published,
    "frame": frame,
    "tiny_published": tiny_published,
    "coarse": coarse,
    "small": small,
    "tiny": tiny,
}


class SsastPretext:
    """Matching and rebuilding masked patches as a `Pretext`."""

    family = "ssast"
    title = "SSAST"
    score = "accuracy"
    higher_is_better = True

    def __init__(self, recipe: SsastRecipe) -> None:
        self.recipe = recipe
        self.num_frames: int = recipe.model.num_frames
        self.fbank: FbankSettings = PUBLISHED
        halved = recipe.schedule == "halved"
        self.halve_patience: int | None = recipe.halve_patience if halved else None

    def network(self, phase: Compression) -> Ssast:
        """A new network."""
        return Ssast(sizes_at(self.recipe.model, phase))

    def carried(self, network: Ssast, phase: Compression) -> Ssast:
        """All weights: positions stretched, patches resized where they are longer."""
        return carried_network(network, sizes_at(self.recipe.model, phase), phase)

    def optimizer(self, network: Ssast) -> Optimizer:
        """Adam, with the same rate everywhere."""
        recipe = self.recipe
        return Adam(
            network.parameters(),
            recipe.peak_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """As the recipe's schedule has it, without its halvings."""
        recipe = self.recipe
        match recipe.schedule:
            case "halved":
                return warmup_milestones(
                    step,
                    peak=recipe.peak_rate,
                    steps_per_epoch=steps_per_epoch,
                    milestones=(),
                    decay=1.0,
                )
            case "cosine":
                return epoch_warmup_cosine(
                    step / steps_per_epoch,
                    peak=recipe.peak_rate,
                    lowest=0.0,
                    warmup_epochs=recipe.warmup_epochs,
                    num_epochs=float(num_epochs),
                )

    def losses(
        self,
        network: Ssast,
        fbank: Float[Tensor, "b t m"],
        generators: Sequence[torch.Generator],
        *,
        rng: torch.Generator | None,
    ) -> dict[str, Tensor]:
        """Both tasks, each with patches of its own hidden; the network itself draws nothing."""
        del rng
        matched = self.hidden(network, generators).to(fbank.device)
        rebuilt = self.hidden(network, generators).to(fbank.device)
        with autocast(fbank.device, self.recipe.precision):
            out = network(fbank, matched=matched, rebuilt=rebuilt, recompute=self.recipe.recompute)
        found = pretext_losses(
            matched=out.matched,
            match_target=out.match_target,
            rebuilt=out.rebuilt,
            rebuild_target=out.rebuild_target,
            rebuild_weight=self.recipe.rebuild_weight,
        )
        return {
            "loss": found.total,
            "accuracy": found.accuracy,
            "match": found.match,
            "rebuild": found.rebuild,
        }

    def hidden(self, network: Ssast, generators: Sequence[torch.Generator]) -> Int[Tensor, "b k"]:
        """Numbers of patches to hide for one task."""
        count = self.recipe.masked_of(network.config)
        return mask_numbers_each(network.config, num_masked=count, generators=generators)

    def shown(
        self, network: Ssast, fbank: Float[Tensor, "1 t m"], generator: torch.Generator
    ) -> Shown:
        """A clip before and after."""
        numbers = self.hidden(network, [generator]).to(fbank.device)
        out = network(fbank, matched=numbers, rebuilt=numbers)
        lowest = torch.full_like(out.rebuilt, float(fbank.min()))
        return Shown(
            fbank[0],
            with_patches(network, fbank, numbers, lowest),
            with_patches(network, fbank, numbers, out.rebuilt.float()),
        )

    def sizes(self) -> SsastConfig:
        """Sizes of the network at full resolution."""
        return self.recipe.model

    def extra(self) -> Mapping[str, Any]:
        """How many patches were hidden."""
        return {"num_masked": self.recipe.num_masked}

    def described(self) -> str:
        """A sentence for the card."""
        model = self.recipe.model
        return (
            f"Found and rebuilt {self.recipe.num_masked} hidden of {model.num_patches} patches "
            "(bands x frames: "
            f"{model.patch[0]} x {model.patch[1]}) of log filterbanks. Start of `ssast_finetune`."
        )


def with_patches(
    network: Ssast,
    fbank: Float[Tensor, "1 t m"],
    numbers: Int[Tensor, "1 k"],
    values: Float[Tensor, "1 k v"],
) -> Float[Tensor, "t m"]:
    """A spectrogram with other values in the numbered patches."""
    config = network.config
    patches = network.patch_values(fbank).index_copy(1, numbers[0], values.to(fbank.dtype))
    size = config.num_mels, config.num_frames
    whole = functional.fold(patches.mT, size, config.patch, stride=config.patch)
    return rearrange(whole, "1 1 m t -> t m")


def train(
    recipe: SsastRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Pre-train on the "train" clips and judge on the "valid" ones; writes RUN/model.

    `resume` goes on with a killed run to the same weights. Raises InputError where a split is
    empty, TrainingError where the loss breaks or the disk is full.
    """
    pretrain(recipe, run, SsastPretext(recipe), corpora=corpora, world=world, resume=resume)
