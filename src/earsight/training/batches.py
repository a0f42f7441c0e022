"""Which clips make up each step: known from (seed, step) alone, so that runs resume exactly.

Every process of a distributed run draws the same global batch and takes its part of it; what is
random about an item depends on (seed, step, position in the global batch), so results do not
depend on the number of processes or workers.
"""

from dataclasses import dataclass

import numpy as np
import torch

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchPlan:
    """Every clip once per epoch, in an order shuffled anew for each; `batch` clips a step.

    A batch may join two epochs; the order of an epoch depends on `seed` and its number alone.
    """

    num_items: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if self.num_items < 1 or self.batch < 1:
            raise ConfigError(
                f"{self.num_items} clips in batches of {self.batch}: there must be one of each"
            )

    def indices(self, step: int) -> list[int]:
        """Clips of the global batch of a step, counted from 0."""
        first = step * self.batch
        places = range(first, first + self.batch)
        orders = {epoch: self._order(epoch) for epoch in {p // self.num_items for p in places}}
        return [int(orders[p // self.num_items][p % self.num_items]) for p in places]

    def epoch(self, step: int) -> float:
        """Epochs finished before a step."""
        return step * self.batch / self.num_items

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(self.num_items)


def item_generator(seed: int, step: int, position: int) -> torch.Generator:
    """Generator of one item of one step."""
    state = np.random.SeedSequence([seed, step, position]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
