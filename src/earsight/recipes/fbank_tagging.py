"""Log filterbanks for taggers in training, at the resolution of a phase.

Axes: b clips (or windows of clips), t frames, m mel bands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.native import NativeFolder
from earsight.data.fbank_clips import spread_parts
from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import PUBLISHED, FbankSettings, compressed
from earsight.recipes.start_folder import input_statistics
from earsight.recipes.tagger_clips import (
    ClipChanges,
    TaggedBatch,
    TaggedClips,
    TaggerData,
    draw_tagged,
)
from earsight.recipes.tagger_recipe import FbankTaggerRecipe
from earsight.settings import to_plain
from earsight.training.coarse_to_fine import Compression, compressed_input
from earsight.training.distributed import World


@dataclass(frozen=True, kw_only=True, slots=True)
class FbankInput:
    """How clips become inputs: changes in training, statistics at full resolution, windows."""

    changes: ClipChanges
    statistics: FbankStatistics
    num_windows: int = 1
    scaled_masks: bool = True

    def draw(
        self,
        clips: TaggedClips,
        places: Sequence[int],
        generators: Sequence[torch.Generator],
        phase: Compression,
        device: torch.device,
    ) -> TaggedBatch:
        """Training clips, each changed by its own generator."""
        stripes = self.changes.stripes
        width = phase.mask_frames(stripes.time_width, scaled=self.scaled_masks)
        changes = replace(self.changes, stripes=replace(stripes, time_width=width))
        drawn = draw_tagged(
            clips,
            places,
            changes,
            self._statistics(phase),
            generators=generators,
            device=device,
            settings=self._settings(phase),
        )
        return replace(drawn, inputs=compressed_input(drawn.inputs, phase))

    def whole(
        self, clips: TaggedClips, places: Sequence[int], phase: Compression, device: torch.device
    ) -> Float[Tensor, "b t m"]:
        """Windows of clips to judge by, those of a clip side by side."""
        found = spread_parts(
            clips.waves,
            places,
            self._statistics(phase),
            num_parts=self.num_windows,
            fill=self.changes.cut.fill,
            settings=self._settings(phase),
            device=device,
        )
        return compressed_input(found, phase)

    def extra(self) -> Mapping[str, Any]:
        """What a model folder tells of its front end."""
        return {
            "frontend": "kaldi_fbank",
            "statistics": to_plain(self.statistics),
            "short_clips": self.changes.cut.fill,
        }

    def _statistics(self, phase: Compression) -> FbankStatistics:
        num_frames = phase.spectrogram_frames(self.statistics.num_frames)
        return replace(self.statistics, num_frames=num_frames)

    def _settings(self, phase: Compression) -> FbankSettings:
        return compressed(phase.hop_factor, PUBLISHED)


class FbankTagging:
    """The part of a `tagger_engine.Tagging` that networks on log filterbanks share."""

    def __init__(
        self,
        recipe: FbankTaggerRecipe,
        data: TaggerData,
        world: World,
        *,
        start: NativeFolder | None,
        num_frames: int,
    ) -> None:
        self.device, self.start = world.device, start
        self._begun_from = recipe.start or "random weights"
        statistics = input_statistics(
            recipe.statistics,
            start,
            data.train.waves,
            num_frames=num_frames,
            fill=recipe.changes.cut.fill,
        )
        self.input = FbankInput(
            changes=recipe.changes,
            statistics=statistics,
            num_windows=recipe.num_windows,
            scaled_masks=recipe.curriculum.scaled_masks,
        )

    def draw(
        self,
        clips: TaggedClips,
        places: Sequence[int],
        generators: Sequence[torch.Generator],
        phase: Compression,
    ) -> TaggedBatch:
        """Training clips, each changed by its own generator."""
        return self.input.draw(clips, places, generators, phase, self.device)

    def whole(self, clips: TaggedClips, places: Sequence[int], phase: Compression) -> Tensor:
        """Windows of clips, nothing changed."""
        return self.input.whole(clips, places, phase, self.device)

    def extra(self) -> Mapping[str, Any]:
        """The front end."""
        return self.input.extra()

    def begun_from(self) -> str:
        """The start by name."""
        return self._begun_from
