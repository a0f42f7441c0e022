"""Fine-tuning of Audio-MAE: its encoder, a norm and a head learn the classes of clips.

Commands: `earsight train audiomae_finetune.small --data ESC10 --run DIR --set
start=PRETRAIN_RUN/model`, `earsight train audiomae_finetune.esc50 --data ESC50 --run DIR`.
RUN/scores.json and RUN/model are written last. The paper has mAP 47.3 on AudioSet and 37.0 from
its 20,000 balanced clips; accuracy 94.1 on ESC-50, 98.3 and 96.9 on Speech Commands 2 and 1, 94.8
on VoxCeleb speakers.
Source: Huang et al., "Masked autoencoders that listen", 2022, sec. 4 and appendix; official
repository facebookresearch/AudioMAE. Differs from them: a batch may join two epochs; bfloat16;
shorter clips keep the position codes the encoder was pre-trained with; noise is white, 20 dB below
the clip, which is all that the paper says of it.

Axes: b clips, k classes.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW, Optimizer

from earsight.checkpoints.native import NativeFolder
from earsight.data.corpus import Corpus
from earsight.generate.bundles import build_network
from earsight.models.audiomae.config import AudioTaggerConfig, MaskedAutoencoderConfig
from earsight.models.audiomae.groups import layer_decay_groups
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.audiomae.phases import carry_weights, encoder_at
from earsight.models.audiomae.published import carried_encoder, carry_encoder
from earsight.recipes.audiomae_pretrain import preparation
from earsight.recipes.audiomae_tasks import SETTINGS, FinetuneRecipe, tiny
from earsight.recipes.fbank_tagging import FbankTagging
from earsight.recipes.start_folder import open_start
from earsight.recipes.tagger_clips import TaggedBatch, TaggerData
from earsight.recipes.tagger_engine import train_tagger
from earsight.training.coarse_to_fine import Compression
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir
from earsight.training.schedules import epoch_warmup_cosine

__all__ = ["SETTINGS", "FinetuneRecipe", "preparation", "tiny", "train"]

FAMILIES = ("audiomae", "audiomae_tagger")


class AudioMaeTagging(FbankTagging):
    """Audio-MAE's encoder as `tagger_engine` trains it."""

    family, title = "audiomae_tagger", "Audio-MAE, fine-tuned"

    def __init__(self, recipe: FinetuneRecipe, data: TaggerData, world: World) -> None:
        self.recipe = recipe
        start = open_start(recipe.start, FAMILIES, system="Audio-MAE")
        num_frames = recipe.model.encoder.num_frames
        super().__init__(recipe, data, world, start=start, num_frames=num_frames)
        self._begun = None if start is None else _network_of(start)
        encoder = recipe.model.encoder
        if self._begun is not None:
            encoder = carried_encoder(self._begun.config.encoder, num_frames=num_frames)
        self.full = replace(recipe.model, encoder=encoder, num_classes=len(data.class_names))

    def network(self, phase: Compression) -> AudioTagger:
        """A new tagger, with the encoder of the start where there is one."""
        tagger = AudioTagger(self.full)
        if self._begun is not None:
            carry_encoder(self._begun, tagger)
        return self.carried(tagger, replace(phase, factor=1), phase)

    def carried(self, network: AudioTagger, before: Compression, phase: Compression) -> AudioTagger:
        """The next phase's network with this one's weights."""
        if before == phase:
            return network
        encoder = encoder_at(self.full.encoder, phase)
        following = AudioTagger(replace(self.full, encoder=encoder))
        carry_weights(network, following, full=self.full.encoder, phase=phase)
        return following

    def optimizer(self, network: AudioTagger) -> Optimizer:
        """AdamW, with lower rates for earlier blocks."""
        recipe = self.recipe
        groups = layer_decay_groups(
            network, weight_decay=recipe.weight_decay, layer_decay=recipe.layer_decay
        )
        return AdamW([group.for_optimizer() for group in groups], recipe.rate, betas=recipe.betas)

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """Half a cosine after a warm-up, which is shorter in a short phase."""
        recipe = self.recipe
        return epoch_warmup_cosine(
            step / steps_per_epoch,
            peak=recipe.rate,
            lowest=recipe.lowest_rate,
            warmup_epochs=recipe.warmup_epochs * num_epochs / recipe.num_epochs,
            num_epochs=float(num_epochs),
        )

    def training_logits(
        self,
        network: AudioTagger,
        batch: TaggedBatch,
        generators: Sequence[torch.Generator],
        rng: torch.Generator,
    ) -> Float[Tensor, "b k"]:
        """Scores of the visible part of clips."""
        recipe, mask = self.recipe, None
        if recipe.masking.time or recipe.masking.frequency:
            grid = network.config.encoder.grid
            mask = recipe.masking.draw_each(grid, list(generators)).to(self.device)
        return network(batch.inputs, mask, rng=rng, recompute=recipe.recompute).logits

    def logits(self, network: AudioTagger, inputs: Tensor) -> Float[Tensor, "b k"]:
        """Scores of whole clips."""
        return network(inputs).logits

    def config(self, network: AudioTagger) -> AudioTaggerConfig:
        """Sizes."""
        return network.config


def train(
    recipe: FinetuneRecipe,
    run: RunDir,
    *,
    corpora: Sequence[Corpus],
    world: World = ALONE,
    resume: bool = False,
) -> None:
    """Train, or go on with a killed run to the same weights; raises as `train_tagger` does."""

    def begin(data: TaggerData) -> AudioMaeTagging:
        return AudioMaeTagging(recipe, data, world)

    train_tagger(recipe, run, begin, corpora=corpora, world=world, resume=resume)


def _network_of(start: NativeFolder) -> MaskedAutoencoder | AudioTagger:
    cpu = torch.device("cpu")
    if start.family == "audiomae":
        return build_network(MaskedAutoencoder, MaskedAutoencoderConfig, start, "audiomae", cpu)
    return build_network(AudioTagger, AudioTaggerConfig, start, "audiomae_tagger", cpu)
