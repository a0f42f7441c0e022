"""Pre-training of Audio-MAE: most patches of a spectrogram are hidden and have to be rebuilt.

Commands: `earsight train audiomae_pretrain.published --data AUDIOSET --run DIR`,
`earsight train audiomae_pretrain.small --data FOLEYROOM ESC10 --run DIR`. Needs sounds alone, no
classes. RUN/model is what `audiomae_finetune` starts from; TensorBoard shows a held-out clip
whole, hidden and rebuilt. Coarse phases first: `--set curriculum.factors=[4] --set
curriculum.epochs=[10]`.
Source: Huang et al., "Masked autoencoders that listen", 2022, sec. 3 and appendix; official
repository facebookresearch/AudioMAE. Differs from them: a batch may join two epochs; bfloat16 in
place of float16 with a scaler.

Axes: b clips, t frames, m mel bands, v values of a patch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW, Optimizer

from earsight.data.corpus import Corpus
from earsight.data.fbank_clips import WaveCut
from earsight.frontends.kaldi_fbank import PUBLISHED, FbankSettings
from earsight.losses.reconstruction import patch_statistics, reconstruction_loss
from earsight.models.audiomae.config import (
    DecoderConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
)
from earsight.models.audiomae.groups import pretraining_groups
from earsight.models.audiomae.masking import Masking
from earsight.models.audiomae.model import MaskedAutoencoder
from earsight.models.audiomae.patches import patchify, unpatchify, with_visible
from earsight.models.audiomae.phases import carry_weights, encoder_at
from earsight.recipes.pretext import Shown
from earsight.recipes.pretraining_loop import pretrain
from earsight.recipes.pretraining_recipe import PretrainingRecipe, preparation
from earsight.training.coarse_to_fine import Compression
from earsight.training.distributed import ALONE, World
from earsight.training.precision import autocast
from earsight.training.rundir import RunDir
from earsight.training.schedules import epoch_warmup_cosine

__all__ = ["SETTINGS", "AudioMaePretext", "PretrainRecipe", "preparation", "train"]

RATE_BATCH = 256
"""Batch that `base_rate` is given for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRecipe(PretrainingRecipe):
    """Everything that decides the outcome of a run; the defaults are the paper's.

    The rate is `base_rate` for a batch of 256 and grows with the batch. `normalise_patches`
    rebuilds each patch less its mean and over its spread. `recompute` saves memory.
    """

    model: MaskedAutoencoderConfig = field(default_factory=MaskedAutoencoderConfig)
    masking: Masking = field(default_factory=Masking)
    normalise_patches: bool = True
    warmup_epochs: float = 3.0
    base_rate: float = 2e-4
    lowest_rate: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 1e-4
    recompute: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        PretrainingRecipe.__post_init__(self)
        self.check_lengths(self.model.encoder.num_frames)
        self.check_warmup(self.warmup_epochs)
        for phase in self.curriculum.phases(fine_epochs=self.num_epochs):
            encoder_at(self.model.encoder, phase.compression)

    @property
    def rate(self) -> float:
        """Highest learning rate."""
        return self.base_rate * self.batch / RATE_BATCH


def published() -> PretrainRecipe:
    """As the paper's appendix has it for AudioSet: ViT-B, shifted windows, 80 % hidden."""
    return PretrainRecipe()


def script() -> PretrainRecipe:
    """As the official script runs it: 33 epochs down to a rate of 0, and no roll of mono clips."""
    return replace(
        published(), num_epochs=33, lowest_rate=0.0, cut=WaveCut(start="first", gain="beta")
    )


def small() -> PretrainRecipe:
    """A network of 3.5 M parameters for a few hundred or thousand clips, on a CPU.

    Pieces of 2.56 s. Position codes have rows of as many tokens as there are bands, so that they
    go on in longer clips.
    """
    encoder = EncoderConfig(
        num_frames=256, width=192, num_layers=6, num_heads=3, hidden=768, tokens_per_row=8
    )
    decoder = DecoderConfig(
        blocks=("window", "shifted_window") * 2,
        width=128,
        num_heads=4,
        window_heads=4,
        hidden=512,
        distance_hidden=64,
    )
    return replace(
        published(),
        model=MaskedAutoencoderConfig(encoder=encoder, decoder=decoder),
        masking=Masking(ratio=0.75),
        cut=WaveCut(fill="repeat"),
        statistics="measured",
        num_epochs=100,
        warmup_epochs=5.0,
        batch=32,
        base_rate=4e-3,
        weight_decay=0.05,
        clip=1.0,
        patience=None,
        precision="fp32",
        num_held_out=128,
        check_epochs=5,
        log_every=20,
        save_every=200,
    )


def tiny() -> PretrainRecipe:
    """Seconds on a CPU, every part of the loop in use."""
    encoder = EncoderConfig(
        num_frames=64, width=16, num_layers=1, num_heads=2, hidden=32, tokens_per_row=8
    )
    decoder = DecoderConfig(
        blocks=("window", "shifted_window"),
        width=16,
        num_heads=2,
        window_heads=2,
        window=(2, 4),
        shift=(1, 0),
        hidden=32,
        distance_hidden=8,
    )
    return replace(
        small(),
        model=MaskedAutoencoderConfig(encoder=encoder, decoder=decoder),
        num_epochs=2,
        warmup_epochs=0.5,
        batch=2,
        num_held_out=3,
        check_batch=2,
        check_epochs=1,
        log_every=1,
        save_every=2,
    )


SETTINGS: Mapping[str, Callable[[], PretrainRecipe]] = {
    "published": published,
    "script": script,
    "small": small,
    "tiny": tiny,
}


class AudioMaePretext:
    """The masked autoencoder as a `Pretext`."""

    family = "audiomae"
    title = "Audio-MAE"
    score = "loss"
    higher_is_better = False
    halve_patience: int | None = None

    def __init__(self, recipe: PretrainRecipe) -> None:
        self.recipe = recipe
        self.num_frames: int = recipe.model.encoder.num_frames
        self.fbank: FbankSettings = replace(PUBLISHED, num_mels=recipe.model.encoder.num_mels)

    def network(self, phase: Compression) -> MaskedAutoencoder:
        """A new network; in a coarse phase with position codes of the full resolution."""
        full = self.recipe.model
        network = MaskedAutoencoder(replace(full, encoder=encoder_at(full.encoder, phase)))
        carry_weights(network, network, full=full.encoder, phase=phase)
        return network

    def carried(self, network: MaskedAutoencoder, phase: Compression) -> MaskedAutoencoder:
        """All weights; position codes are those of the phase."""
        following = self.network(phase)
        carry_weights(network, following, full=self.recipe.model.encoder, phase=phase)
        return following

    def optimizer(self, network: MaskedAutoencoder) -> Optimizer:
        """AdamW; what has one axis does not decay."""
        groups = pretraining_groups(network, weight_decay=self.recipe.weight_decay)
        return AdamW(
            [group.for_optimizer() for group in groups], self.recipe.rate, betas=self.recipe.betas
        )

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """Up over the warm-up, then along half a cosine to the end of the phase."""
        return epoch_warmup_cosine(
            step / steps_per_epoch,
            peak=self.recipe.rate,
            lowest=self.recipe.lowest_rate,
            warmup_epochs=self.recipe.warmup_epochs,
            num_epochs=float(num_epochs),
        )

    def losses(
        self,
        network: MaskedAutoencoder,
        fbank: Float[Tensor, "b t m"],
        generators: Sequence[torch.Generator],
        *,
        rng: torch.Generator | None,
    ) -> dict[str, Tensor]:
        """Squared difference on hidden patches."""
        recipe, config = self.recipe, network.config.encoder
        mask = recipe.masking.draw_each(config.grid_of(fbank.shape[1]), generators)
        mask = mask.to(fbank.device)
        with autocast(fbank.device, recipe.precision):
            found = network(fbank, mask, rng=rng, recompute=recipe.recompute)
        loss = reconstruction_loss(
            found.patches,
            patchify(fbank, config),
            mask.masked,
            normalise=recipe.normalise_patches,
        )
        return {"loss": loss}

    def shown(
        self,
        network: MaskedAutoencoder,
        fbank: Float[Tensor, "1 t m"],
        generator: torch.Generator,
    ) -> Shown:
        """A clip before and after.

        Patches that were normalised get back their true mean and spread, which the network never
        says.
        """
        config, num_frames = network.config.encoder, fbank.shape[1]
        mask = self.recipe.masking.draw(config.grid_of(num_frames), batch=1, rng=generator)
        mask = mask.to(fbank.device)
        rebuilt = network(fbank, mask).patches.float()
        patches = patchify(fbank, config)
        if self.recipe.normalise_patches:
            own = patch_statistics(patches)
            rebuilt = rebuilt * own.spread + own.mean
        hidden = torch.full_like(patches, float(fbank.min()))
        rows = [
            patches,
            with_visible(hidden, patches, mask.masked),
            with_visible(rebuilt, patches, mask.masked),
        ]
        whole, seen, after = (unpatchify(row, config, num_frames=num_frames)[0] for row in rows)
        return Shown(whole, seen, after)

    def sizes(self) -> MaskedAutoencoderConfig:
        """Sizes of the network at full resolution."""
        return self.recipe.model

    def extra(self) -> Mapping[str, Any]:
        """How patches were rebuilt."""
        return {"normalise_patches": self.recipe.normalise_patches}

    def described(self) -> str:
        """A sentence for the card."""
        return (
            "Encoder and decoder; rebuilds hidden patches of log filterbanks. Start of "
            "`audiomae_finetune`."
        )


def train(
    recipe: PretrainRecipe,
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
    pretrain(recipe, run, AudioMaePretext(recipe), corpora=corpora, world=world, resume=resume)
