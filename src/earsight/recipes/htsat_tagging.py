"""HTS-AT in training, at the resolution of a phase.

Sources: Chen et al., "HTS-AT: a hierarchical token-semantic audio transformer", 2022; official
repository RetroCirce/HTS-Audio-Transformer; Feng et al., "From coarse to fine: efficient training
for audio spectrogram transformers", 2024.

Axes: b clips (or windows of clips), s samples, t frames, m mel bands, k classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from earsight.checkpoints.restricted import read_checkpoint, state_entries
from earsight.data.fbank_clips import WaveCut, spread_waves
from earsight.errors import ConfigError, InputError
from earsight.frontends import htsat_mel
from earsight.frontends.htsat_augment import Stripes, mixing_shares, mixup, spec_augment
from earsight.frontends.htsat_mel import HtsatMelConfig
from earsight.models.htsat.config import HtsatConfig, Labels, coarse
from earsight.models.htsat.model import Htsat
from earsight.models.htsat.published import NOT_IN_IMAGES, OTHER_CLASSES, image_start
from earsight.models.htsat.transfer import for_picture
from earsight.recipes.start_folder import open_start
from earsight.recipes.tagger_clips import (
    ClipChanges,
    TaggedBatch,
    TaggedClips,
    TaggerData,
    draw_waves,
)
from earsight.recipes.tagger_recipe import TaggerRecipe
from earsight.settings import to_plain
from earsight.training.coarse_to_fine import Compression, compressed_input
from earsight.training.distributed import World
from earsight.training.schedules import EpochSchedule
from earsight.training.synced_norm import synchronise_norms
from earsight.training.warm_start import warm_start


@dataclass(frozen=True, kw_only=True, slots=True)
class HtsatRecipe(TaggerRecipe):
    """Everything that decides the outcome of a run.

    Classes of `model` are those of the data. `start` is the model folder of an HTS-AT, whose last
    layer is dropped unless it is of the same classes, or the file of the Swin network for pictures.
    `changes` act on waves, but its stripes on the spectrogram after the norm of its bands. With
    `mixup_group` every spectrogram is mixed there with the one at the mirrored place among so many
    clips of the batch, and the classes stay; published are 32, the share of each of four GPUs, so
    that any number of processes with whole groups does the same.
    """

    model: HtsatConfig = field(default_factory=HtsatConfig)
    mel: HtsatMelConfig = field(default_factory=HtsatMelConfig)
    clip_seconds: float = 10.0
    start: str = ""
    changes: ClipChanges = field(
        default_factory=lambda: ClipChanges(
            cut=WaveCut(start="first", gain="none"), mixup=0.0, stripes=Stripes()
        )
    )
    mixup_group: int | None = None
    peak_rate: float = 1e-3
    schedule: EpochSchedule = field(default_factory=lambda: EpochSchedule(kind="htsat"))
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.05
    clip: float | None = 1.0

    def __post_init__(self) -> None:
        """Refuse what makes no run."""
        TaggerRecipe.__post_init__(self)
        group, batch = self.mixup_group, self.draws.batch // self.num_parts
        if group is not None and (group < 2 or batch % group):
            raise ConfigError(f"mixup_group: {batch} clips make no groups of {group}, two at least")
        if self.mel.num_mels != self.model.num_mels:
            raise ConfigError(
                f"the spectrogram has {self.mel.num_mels} bands, the network {self.model.num_mels}"
            )
        if self.changes.uniform_noise:
            raise ConfigError("changes.uniform_noise is AST's: HTS-AT has none")
        for phase in self.curriculum.phases(fine_epochs=self.num_epochs):
            self._check_phase(phase.compression)

    @property
    def clip_samples(self) -> int:
        """Samples of a network input."""
        return round(self.clip_seconds * self.mel.rate_hz)

    def sizes(self, phase: Compression) -> HtsatConfig:
        """The network's sizes at a resolution."""
        return self.model if phase.factor == 1 else coarse(self.model, phase.factor)

    def stripes(self, factor: int) -> Stripes:
        """What is hidden of a spectrogram with `factor` times fewer frames."""
        full = self.changes.stripes
        width = full.time_width // factor if self.curriculum.scaled_masks else full.time_width
        return replace(full, time_width=max(1, width))

    def num_frames(self, phase: Compression) -> int:
        """Frames of a network input before it is stretched to the picture."""
        mel = htsat_mel.coarse(self.mel, phase.hop_factor)
        pooled = phase.factor // phase.hop_factor
        return (1 + self.clip_samples // mel.hop_samples) // pooled

    def _check_phase(self, phase: Compression) -> None:
        if phase.patch_factor > 1:
            raise ConfigError(
                f"curriculum.method {phase.method} needs patches of any length, which HTS-AT has "
                "not: use frame_shift, average_pool or max_pool"
            )
        sizes, num_frames = self.sizes(phase), self.num_frames(phase)
        stripes = self.stripes(phase.factor)
        if sizes.image_bands != self.model.image_bands:
            raise ConfigError(
                f"a picture of {sizes.picture} holds no whole {self.model.num_mels} bands: choose "
                f"one of {2 * self.model.num_mels} times a whole number for factor {phase.factor}"
            )
        if not 1 < num_frames <= sizes.max_frames:
            raise ConfigError(
                f"clips of {self.clip_seconds:g} s have {num_frames} frames at factor "
                f"{phase.factor}, a picture of {sizes.picture} holds 2 to {sizes.max_frames}"
            )
        if stripes.num_time and stripes.time_width > num_frames:
            raise ConfigError(
                f"stripes of up to {stripes.time_width} frames do not fit {num_frames}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class HtsatStart:
    """Weights to begin with, and the parts that stay as initialised."""

    entries: Mapping[str, Tensor]
    fresh: tuple[str, ...]


class HtsatTagging:
    """A `tagger_engine.Tagging`: spectrograms in decibels go in, the network norms their bands.

    The statistics of that norm are those of the batch of all processes (of one part, where a batch
    is computed in several), and everything random about a clip comes from its own generator.
    """

    family, title = "htsat", "HTS-AT"

    def __init__(
        self, recipe: HtsatRecipe, data: TaggerData, world: World, *, start: HtsatStart | None
    ) -> None:
        labels: Labels = "many" if recipe.loss == "binary" else "one"
        full = replace(recipe.model, num_classes=len(data.class_names), labels=labels)
        self.recipe, self.world, self.start = replace(recipe, model=full), world, start
        group = recipe.mixup_group
        if group is not None and (recipe.draws.batch // recipe.num_parts // world.size) % group:
            raise ConfigError(
                f"mixup_group: a batch of {recipe.draws.batch} over {world.size} processes makes "
                f"no groups of {group}: use fewer processes, or another group"
            )

    def network(self, phase: Compression) -> Htsat:
        """A new network, with the weights of the start where there is one."""
        if self.start is None:
            return self._synchronised(Htsat(self.recipe.sizes(phase)))
        return self._with_weights(self.start.entries, phase, fresh=self.start.fresh)

    def carried(self, network: Htsat, before: Compression, phase: Compression) -> Htsat:
        """The next phase's network: only windows that a smaller map cut down change."""
        del before
        return self._with_weights(network.state_dict(), phase)

    def optimizer(self, network: Htsat) -> Optimizer:
        """AdamW; every weight decays."""
        recipe = self.recipe
        return AdamW(
            network.parameters(),
            recipe.peak_rate,
            betas=recipe.betas,
            eps=recipe.epsilon,
            weight_decay=recipe.weight_decay,
        )

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """As the recipe's schedule has it."""
        return self.recipe.schedule.rate(
            step,
            peak=self.recipe.peak_rate,
            steps_per_epoch=steps_per_epoch,
            num_epochs=num_epochs,
        )

    def draw(
        self,
        clips: TaggedClips,
        places: Sequence[int],
        generators: Sequence[torch.Generator],
        phase: Compression,
    ) -> TaggedBatch:
        """Spectrograms of training clips, whose waves each own generator changed."""
        recipe = self.recipe
        waves, targets = draw_waves(
            clips, places, recipe.changes, num_samples=recipe.clip_samples, generators=generators
        )
        inputs = self._spectrograms(waves, phase)
        return TaggedBatch(inputs=inputs, targets=targets.to(self.world.device))

    def whole(self, clips: TaggedClips, places: Sequence[int], phase: Compression) -> Tensor:
        """Windows of clips, nothing changed."""
        recipe = self.recipe
        waves = spread_waves(
            clips.waves,
            places,
            num_samples=recipe.clip_samples,
            num_parts=recipe.num_windows,
            fill=recipe.changes.cut.fill,
        )
        return self._spectrograms(waves, phase)

    def training_logits(
        self,
        network: Htsat,
        batch: TaggedBatch,
        generators: Sequence[torch.Generator],
        rng: torch.Generator,
    ) -> Float[Tensor, "b k"]:
        """Scores of spectrograms, striped and mixed after the norm of their bands."""
        del rng

        factor = (self.recipe.model.picture // network.config.picture) ** 2

        def change(x: Tensor) -> Tensor:
            return self.changed(x, generators, factor=factor)

        found = network(
            batch.inputs, change=change, rng=generators, recompute=self.recipe.recompute
        )
        return found.logits

    def changed(
        self, x: Float[Tensor, "b t m"], generators: Sequence[torch.Generator], *, factor: int
    ) -> Float[Tensor, "b t m"]:
        """Spectrograms with stripes, each mixed with the one at the mirrored place of its group."""
        stripes, group = self.recipe.stripes(factor), self.recipe.mixup_group
        x = torch.cat(
            [
                spec_augment(row[None], rng=rng, stripes=stripes)
                for row, rng in zip(x, generators, strict=True)
            ]
        )
        if group is None:
            return x
        shares = torch.cat([mixing_shares(1, rng=rng) for rng in generators])
        starts = range(0, len(x), group)
        return torch.cat([mixup(x[n : n + group], shares[n : n + group]) for n in starts])

    def logits(self, network: Htsat, inputs: Tensor) -> Float[Tensor, "b k"]:
        """Scores."""
        return network(inputs).logits

    def config(self, network: Htsat) -> HtsatConfig:
        """Sizes."""
        return network.config

    def extra(self) -> Mapping[str, Any]:
        """The front end, and what it was given."""
        recipe = self.recipe
        return {
            "mel": to_plain(recipe.mel),
            "clip_samples": recipe.clip_samples,
            "short_clips": recipe.changes.cut.fill,
        }

    def begun_from(self) -> str:
        """The start by name."""
        return self.recipe.start or "random weights"

    def _spectrograms(
        self, waves: Sequence[Float[Tensor, " _"]], phase: Compression
    ) -> Float[Tensor, "b t m"]:
        """Decibels of waves of one length; shorter ones are silent behind their end.

        Frames are pooled before the norm of their bands, whose statistics are then those of what
        the network sees; on the mean of frames the order makes no other difference.
        """
        size = self.recipe.clip_samples
        padded = [functional.pad(wave, (0, size - wave.numel())) for wave in waves]
        mel = htsat_mel.coarse(self.recipe.mel, phase.hop_factor)
        joined = torch.stack(padded).to(self.world.device)
        return compressed_input(htsat_mel.log_mel(joined, mel), phase)

    def _with_weights(
        self, entries: Mapping[str, Tensor], phase: Compression, *, fresh: Sequence[str] = ()
    ) -> Htsat:
        network = Htsat(self.recipe.sizes(phase))
        warm_start(network, for_picture(entries, network.config), fresh=fresh)
        return self._synchronised(network)

    def _synchronised(self, network: Htsat) -> Htsat:
        synchronise_norms(network, self.world)
        return network


def open_htsat(source: str, class_names: Sequence[str]) -> HtsatStart | None:
    """An HTS-AT's folder or a published image network's file as a start; None for no source.

    Raises InputError for a source that is neither, WeightsError for a file that is no checkpoint.
    """
    if source.endswith((".pth", ".pt", ".safetensors")):
        path = Path(source)
        if not path.is_file():
            raise InputError(
                f"start: there is no file {path}: download swin_tiny_c24_patch4_window8_256.pth "
                "from the official repository microsoft/Swin-Transformer"
            )
        entries = image_start(state_entries(read_checkpoint(path)))
        return HtsatStart(entries=entries, fresh=NOT_IN_IMAGES)
    start = open_start(source, ("htsat",), system="HTS-AT")
    if start is None:
        return None
    if list(start.extra.get("class_names", ())) == list(class_names):
        return HtsatStart(entries=start.tensors, fresh=())
    kept = {
        name: value for name, value in start.tensors.items() if not name.startswith(OTHER_CLASSES)
    }
    return HtsatStart(entries=kept, fresh=OTHER_CLASSES)
