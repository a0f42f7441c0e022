"""AST and SSAST in training, at the resolution of a phase.

Source: Feng et al., "From coarse to fine: efficient training for audio spectrogram transformers",
2024; official repositories YuanGongND/ast, YuanGongND/ssast and JiuFengSC/FlexiAST_INTERSPEECH23.

Axes: b clips, k classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from earsight.checkpoints.native import NativeFolder
from earsight.models.ast.config import AstConfig
from earsight.models.ast.model import Ast
from earsight.models.ssast.config import SsastTaggerConfig
from earsight.models.ssast.model import SsastTagger
from earsight.recipes.fbank_tagging import FbankTagging
from earsight.recipes.tagger_clips import TaggedBatch, TaggerData
from earsight.recipes.tagger_recipe import FbankTaggerRecipe
from earsight.training.coarse_to_fine import Compression, PatchPlan, carried_over
from earsight.training.distributed import World
from earsight.training.schedules import EpochSchedule
from earsight.training.warm_start import warm_start

KERNEL, POSITIONS = "encoder.patches.weight", "encoder.positions"
Config = TypeVar("Config", AstConfig, SsastTaggerConfig)
Network = TypeVar("Network", Ast, SsastTagger)


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoTokenRecipe(FbankTaggerRecipe):
    """What the recipes of both share: Adam at `peak_rate`, for any batch."""

    peak_rate: float = 1e-5
    schedule: EpochSchedule = field(default_factory=EpochSchedule)
    betas: tuple[float, float] = (0.95, 0.999)
    weight_decay: float = 5e-7


class TwoTokenTagging(FbankTagging, Generic[Config, Network]):
    """A `tagger_engine.Tagging` of a network with sizes `full` at full resolution.

    `build` makes one with random weights, `begin` one with those of the recipe's start, given its
    sizes; None where there is no start.
    """

    def __init__(
        self,
        recipe: TwoTokenRecipe,
        data: TaggerData,
        world: World,
        *,
        family: str,
        title: str,
        full: Config,
        build: Callable[[Config], Network],
        begin: Callable[[Config], Network] | None,
        start: NativeFolder | None,
    ) -> None:
        super().__init__(recipe, data, world, start=start, num_frames=full.num_frames)
        self.family, self.title = family, title
        self.recipe: TwoTokenRecipe = recipe
        self._full: Config = full
        self._build, self._begin = build, begin

    def network(self, phase: Compression) -> Network:
        """A new network, or the start at the resolution of a phase.

        Longer patches are made of the start's own; a coarser spectrogram has its positions cut out
        of the start's or stretched, as any other length would.
        """
        sizes = self._at(phase)
        if self._begin is None:
            return self._build(sizes)
        if phase.patch_factor == 1:
            return self._begin(sizes)
        return self._with_weights(self._begin(self._full), self._full, sizes, phase)

    def carried(self, network: Network, before: Compression, phase: Compression) -> Network:
        """The next phase's network with this one's weights."""
        return self._with_weights(network, self._at(before), self._at(phase), phase)

    def optimizer(self, network: Network) -> Optimizer:
        """Adam, with the same rate everywhere."""
        recipe = self.recipe
        return Adam(
            network.parameters(),
            recipe.peak_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """As the recipe's schedule has it."""
        recipe = self.recipe
        return recipe.schedule.rate(
            step, peak=recipe.peak_rate, steps_per_epoch=steps_per_epoch, num_epochs=num_epochs
        )

    def training_logits(
        self,
        network: Network,
        batch: TaggedBatch,
        generators: Sequence[torch.Generator],
        rng: torch.Generator,
    ) -> Float[Tensor, "b k"]:
        """Scores; the network itself draws nothing."""
        del generators, rng
        return network(batch.inputs, recompute=self.recipe.recompute).logits

    def logits(self, network: Network, inputs: Tensor) -> Float[Tensor, "b k"]:
        """Scores."""
        return network(inputs).logits

    def config(self, network: Network) -> AstConfig | SsastTaggerConfig:
        """Sizes."""
        return network.config

    def _at(self, phase: Compression) -> Config:
        full = self._full
        return replace(
            full,
            num_frames=phase.network_frames(full.num_frames),
            patch=phase.patch(full.patch),
            strides=phase.patch(full.strides),
        )

    def _with_weights(
        self, network: Network, before: Config, after: Config, phase: Compression
    ) -> Network:
        """A network of sizes `after` with all weights of one of sizes `before`."""
        entries = carried_over(
            {name: value.detach() for name, value in network.state_dict().items()},
            kernel=KERNEL,
            positions=POSITIONS,
            before=PatchPlan(patch=before.patch, grid=before.grid),
            after=PatchPlan(patch=after.patch, grid=after.grid),
            kernel_rule=phase.kernel_rule,
        )
        following = self._build(after)
        warm_start(following, entries)
        return following
