"""The clips of each step of a codebook training, known from seed and step alone.

Axes: b clips of a part of a batch, m bands, t frames.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earsight.data.corpus import Corpus, Split
from earsight.data.mel_crops import draw_crop, whole
from earsight.data.mel_store import MelStore
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import to_model
from earsight.recipes.codebook_settings import CodebookRecipe, CropBatch
from earsight.training.batches import BatchPlan, item_generator
from earsight.training.distributed import World

Purpose = Literal["batch", "columns", "revival", "calibration"]


@dataclass(frozen=True, slots=True)
class MelBatch:
    """Crops in [-1, 1] and which of their frames are real."""

    mel: Float[Tensor, "b 1 m t"]
    frame_mask: Bool[Tensor, "b t"]


def step_generator(seed: int, step: int, purpose: Purpose) -> torch.Generator:
    """Generator of what is drawn once for a whole step, the same in every process."""
    return item_generator(seed, step, zlib.crc32(purpose.encode()))


class CodebookBatches:
    """The training clips of a recipe, drawn step by step."""

    def __init__(self, corpora: Sequence[Corpus], recipe: CodebookRecipe, world: World) -> None:
        self.recipe, self.world = recipe, world
        self.stores = open_stores(corpora, "train", memory_gb=recipe.memory_gb)
        self.plan = BatchPlan(
            num_items=sum(map(len, self.stores)), batch=recipe.largest_batch, seed=recipe.seed
        )

    def draw(self, step: int) -> list[MelBatch]:
        """This process's crops of a step, in as many parts as are accumulated."""
        kinds = self.recipe.batches_at(step)
        kind = kinds[whole(0, len(kinds), step_generator(self.recipe.seed, step, "batch"))]
        indices = self.plan.indices(step)
        crops = [
            self._crop(kind, step, place, indices[place]) for place in self.world.part(kind.clips)
        ]
        size = len(crops) // self.recipe.accumulate
        return [self._batch(crops[i : i + size]) for i in range(0, len(crops), size)]

    def means(self) -> Float[Tensor, " m"]:
        """Mean of every band over (at most 256 of) the training clips."""
        places = range(0, self.plan.num_items, max(1, self.plan.num_items // 256))
        mels = [store.mel(index) for store, index in map(self._find, places)]
        return torch.cat(mels, dim=1).mean(dim=1)

    def _crop(
        self, kind: CropBatch, step: int, place: int, index: int
    ) -> tuple[Float[Tensor, "m t"], Bool[Tensor, " t"]]:
        generator = item_generator(self.recipe.seed, step, place)
        if self.recipe.corpus_shares == "even":
            store = self.stores[(step + place) % len(self.stores)]
            index = whole(0, len(store), generator)
        else:
            store, index = self._find(index)
        return draw_crop(
            store.mel,
            index,
            num_clips=len(store),
            num_frames=kind.frames,
            settings=self.recipe.crops,
            generator=generator,
        )

    def _find(self, index: int) -> tuple[MelStore, int]:
        for store in self.stores:
            if index < len(store):
                return store, index
            index -= len(store)
        raise AssertionError("a clip's number beyond the last clip")

    def _batch(self, crops: Sequence[tuple[Tensor, Tensor]]) -> MelBatch:
        mel = torch.stack([crop for crop, _ in crops])[:, None]
        mask = torch.stack([real for _, real in crops])
        return MelBatch(to_model(mel).to(self.world.device), mask.to(self.world.device))


def open_stores(corpora: Sequence[Corpus], split: Split, *, memory_gb: float) -> list[MelStore]:
    """Clips of a split of every corpus that has any. Raises InputError where none has."""
    found = [(corpus, corpus.records(split)) for corpus in corpora]
    kept = [(corpus, records) for corpus, records in found if records]
    if not kept:
        names = ", ".join(corpus.name for corpus in corpora) or "no corpus"
        raise InputError(f"no clips in the {split} split of {names}: check the folders")
    limit = round(memory_gb * 2**30 / len(kept))
    return [MelStore(corpus, records, limit_bytes=limit) for corpus, records in kept]
