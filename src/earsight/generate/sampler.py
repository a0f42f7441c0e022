"""Draws spectrogram codes one by one from a code transformer.

Every clip has its own generator, and the code at a position always takes the draw of that
position: a clip comes out the same alone, in any batch, primed or with parts kept.

Axes: b clips, f feature tokens, w feature width, n codes, k code vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import InputError
from earsight.generate.logits import SamplingConfig, draw_codes
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.engine import KeyValueCache
from earsight.models.token_gpt.model import TokenGPT

FREE = -1
"""Marks a code that is to be drawn among codes that are given."""


@runtime_checkable
class Engine(Protocol):
    """What the sampler needs: `TokenEngine` (cached) or `UncachedEngine` (the plain way)."""

    @property
    def config(self) -> TokenGPTConfig:
        """Sizes of the transformer."""
        ...

    def prefill(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
        codes: Int[Tensor, "b n"],
    ) -> tuple[Float[Tensor, "b k"], KeyValueCache]:
        """Scores after condition and codes."""
        ...

    def step(self, codes: Int[Tensor, " b"], cache: KeyValueCache) -> Float[Tensor, "b k"]:
        """Scores after one more code per clip."""
        ...


@dataclass(frozen=True, slots=True)
class Condition:
    """What a window is conditioned on; an input the model does not use may be None."""

    features: Float[Tensor, "b f w"] | None
    classes: Int[Tensor, " b"] | None


class UncachedEngine:
    """The plain way: the whole sequence runs again for every code. For tests and comparisons.

    With `whole_window` every pass has the full window's length, zeros standing for codes not
    drawn yet, as the official tools do it; causality makes the scores the same.
    """

    def __init__(self, model: TokenGPT, *, whole_window: bool = False) -> None:
        self.config = model.config
        self._model = model
        self._whole_window = whole_window
        self._condition = Condition(None, None)
        self._given = torch.zeros(0, 0, dtype=torch.long)

    def prefill(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
        codes: Int[Tensor, "b n"],
    ) -> tuple[Float[Tensor, "b k"], KeyValueCache]:
        """Scores after condition and codes; the returned cache stays empty."""
        self._condition, self._given = Condition(features, classes), codes
        empty = KeyValueCache(
            self.config, batch=0, precision="fp32", device=self._model.positions.device
        )
        return self._scores(), empty

    def step(self, codes: Int[Tensor, " b"], cache: KeyValueCache) -> Float[Tensor, "b k"]:
        """Scores after one more code per clip."""
        del cache
        self._given = torch.cat([self._given, codes[:, None]], dim=1)
        return self._scores()

    @torch.inference_mode()
    def _scores(self) -> Tensor:
        length = self._given.shape[1]
        codes = self._given
        if self._whole_window:
            codes = torch.nn.functional.pad(codes, (0, self.config.num_grid_codes - length))
        output = self._model(codes, self._condition.features, self._condition.classes)
        return output.logits[:, output.logits.shape[1] - codes.shape[1] - 1 + length]


def item_uniforms(generators: Sequence[torch.Generator], num_codes: int) -> Float[Tensor, "b n"]:
    """The next `num_codes` draws of every clip's own generator, in [0, 1)."""
    return torch.stack(
        [
            torch.rand(num_codes, generator=generator, dtype=torch.float64)
            for generator in generators
        ]
    )


def sample_codes(
    engine: Engine,
    condition: Condition,
    *,
    uniforms: Float[Tensor, "b n"],
    sampling: SamplingConfig,
    known: Int[Tensor, "b n"] | None = None,
    on_code: Callable[[int], None] | None = None,
) -> Int[Tensor, "b n"]:
    """Codes 0 to n - 1 of one window, in the transformer's order.

    `known` holds given codes and FREE where a code is to be drawn: a given beginning primes the
    rest, a given range is kept and what follows continues from it. `on_code` is called with the
    number of codes done. Source: SpecVQGAN, sec. 3.2 and 4.

    Raises InputError for codes outside the vocabulary or a window longer than the model's.
    """
    num_codes = uniforms.shape[1]
    device = _device(engine, condition)
    known = torch.full(uniforms.shape, FREE) if known is None else known
    _check(engine.config, known, num_codes)
    known = known.to(device)
    free = (known == FREE).any(dim=0)
    start = int(free.nonzero()[0, 0]) if bool(free.any()) else num_codes
    codes = known.clone()
    if start == num_codes:
        return codes
    logits, cache = engine.prefill(condition.features, condition.classes, codes[:, :start])
    for position in range(start, num_codes):
        if position > start:
            logits = engine.step(codes[:, position - 1], cache)
        drawn = draw_codes(logits, uniforms[:, position], sampling)
        codes[:, position] = torch.where(known[:, position] == FREE, drawn, known[:, position])
        if on_code is not None:
            on_code(position + 1)
    return codes


def _device(engine: Engine, condition: Condition) -> torch.device:
    for part in (condition.features, condition.classes):
        if part is not None:
            return part.device
    raise InputError(f"a '{engine.config.condition}' model needs a condition, got none")


def _check(config: TokenGPTConfig, known: Tensor, num_codes: int) -> None:
    if num_codes > config.num_grid_codes:
        raise InputError(
            f"one window holds {config.num_grid_codes} codes, asked for {num_codes}: "
            "use moving windows for longer sounds"
        )
    if known.numel() and (int(known.max()) >= config.num_codes or int(known.min()) < FREE):
        raise InputError(
            f"given codes must lie in 0..{config.num_codes - 1} ({FREE} = to be drawn), "
            f"got {int(known.min())}..{int(known.max())}: encode them with this model's codebook"
        )
