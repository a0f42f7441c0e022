"""Which clips make up each epoch where classes are uneven: drawn by weight or class, or repeated.

Sources: Audio-MAE, appendix; official repositories facebookresearch/AudioMAE, YuanGongND/ast and
RetroCirce/HTS-Audio-Transformer.
Axes: n clips, k classes.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import ConfigError

WEIGHT_SCALE, WEIGHT_OFFSET = 1000.0, 0.01


class EpochDraws:
    """Clips of every step, known from seed and step alone.

    Without weights each clip comes once an epoch. With them `num_draws` different clips are drawn
    an epoch, or as many as there are: the heavier, the more often. With `balanced` (classes of
    each clip) every class in turn gives any one of its clips, in rounds of their own order, until
    there are `num_draws`. A batch may join two epochs. Raises ConfigError for no clips, no batch or
    weights that are not above 0.
    """

    def __init__(
        self,
        num_items: int,
        *,
        batch: int,
        seed: int,
        weights: Float[Tensor, " n"] | None = None,
        balanced: Float[Tensor, "n k"] | None = None,
        num_draws: int | None = None,
    ) -> None:
        if num_items < 1 or batch < 1 or (num_draws is not None and num_draws < 1):
            raise ConfigError(f"{num_items} clips in batches of {batch}: there must be one of each")
        if weights is not None and not bool((weights > 0).all()):
            raise ConfigError("weights of clips must be above 0")
        self.batch, self.seed, self.weights = batch, seed, weights
        self.num_items = num_items
        self.num_draws = num_items if num_draws is None else num_draws
        if balanced is None:
            self.num_draws = min(self.num_draws, num_items)
        self._by_class = None if balanced is None else _clips_by_class(balanced)
        self._orders: dict[int, Tensor] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch, at least 1."""
        return max(1, self.num_draws // self.batch)

    def indices(self, step: int) -> list[int]:
        """Clips of the global batch of a step, counted from 0."""
        places = range(step * self.batch, (step + 1) * self.batch)
        wanted = {place // self.num_draws for place in places}
        self._orders = {
            epoch: self._orders[epoch] if epoch in self._orders else self._order(epoch)
            for epoch in wanted
        }
        return [int(self._orders[p // self.num_draws][p % self.num_draws]) for p in places]

    def _order(self, epoch: int) -> Tensor:
        rng = torch.Generator().manual_seed(self.seed + epoch)
        if self._by_class is not None:
            return _in_rounds(self._by_class, self.num_draws, rng)
        if self.weights is None:
            return torch.randperm(self.num_items, generator=rng)[: self.num_draws]
        return torch.multinomial(self.weights.double(), self.num_draws, generator=rng)


def clip_weights(targets: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Weight of each clip: the sum over its classes of 1000 / (number of clips + 0.01)."""
    by_class = WEIGHT_SCALE / (targets.sum(dim=0) + WEIGHT_OFFSET)
    return targets @ by_class


def repeated_places(targets: Float[Tensor, "n k"], *, share: float) -> list[int]:
    """Clips by number; a class of less than `share` of the largest one's clips is repeated to it.

    A clip counts for its first class. 0 repeats nothing. Raises ConfigError outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"the share to repeat classes to must lie in [0, 1], got {share}")
    first = targets.argmax(dim=1)
    wanted = int(share * int(torch.bincount(first).max()))
    places = list(range(len(targets)))
    by_class: dict[int, list[int]] = {}
    for place in places:
        by_class.setdefault(int(first[place]), []).append(place)
    for own in by_class.values():
        missing = max(0, wanted - len(own))
        places += [own[number % len(own)] for number in range(missing)]
    return places


def _clips_by_class(targets: Float[Tensor, "n k"]) -> list[Int[Tensor, " _"]]:
    """Clips of every class that has any."""
    found = [column.nonzero().flatten() for column in targets.T]
    return [clips for clips in found if len(clips)]


def _in_rounds(
    by_class: Sequence[Int[Tensor, " _"]], count: int, rng: torch.Generator
) -> Int[Tensor, " n"]:
    """Rounds in which every class gives a clip, each in an order of its own."""
    num_rounds = -(-count // len(by_class))
    drawn = torch.stack(
        [clips[torch.randint(len(clips), (num_rounds,), generator=rng)] for clips in by_class],
        dim=1,
    )
    order = torch.rand(drawn.shape, generator=rng).argsort(dim=1)
    return drawn.gather(1, order).flatten()[:count]
