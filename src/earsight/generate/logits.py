"""From scores to a drawn code.   Axes: b clips, k code vocabulary."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How a code is drawn from its scores.

    `top_k` is a count; codes tied with the k-th are all kept. `top_p` keeps the smallest set of
    most probable codes whose probability reaches p. `greedy` takes the best code and ignores the
    rest. `guidance` is how far draws lean towards the condition; 1 is as trained.
    Source: SpecVQGAN, sec. 4 (temperature, top-k); Holtzman et al. 2020 (top-p).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False
    guidance: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(
                f"temperature must be a positive number, got {self.temperature}: "
                "use greedy (--top-k 1) for the most probable codes"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k counts codes and must be 1 or more, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is a probability in (0, 1], got {self.top_p}")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise ConfigError(
                f"guidance must be 0 (no condition), 1 (as trained) or more, got {self.guidance}"
            )


def code_probabilities(
    logits: Float[Tensor, "b k"], sampling: SamplingConfig
) -> Float[Tensor, "b k"]:
    """Probabilities after temperature, top-k and top-p, in this order.

    Raises ConfigError when top_k exceeds the vocabulary.
    """
    scores = logits.float() / sampling.temperature
    num_codes = scores.shape[-1]
    if sampling.top_k is not None:
        if sampling.top_k > num_codes:
            raise ConfigError(
                f"top_k ({sampling.top_k}) exceeds the model's {num_codes} codes: lower it"
            )
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -math.inf)
    probabilities = scores.softmax(dim=-1)
    if sampling.top_p is not None and sampling.top_p < 1:
        ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
        # a code is dropped when the codes before it already reach the wanted probability
        dropped = ranked.cumsum(dim=-1) - ranked >= sampling.top_p
        kept = ranked.masked_fill(dropped, 0)
        probabilities = torch.zeros_like(kept).scatter(-1, order, kept)
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return probabilities


def draw_codes(
    logits: Float[Tensor, "b k"], uniforms: Float[Tensor, " b"], sampling: SamplingConfig
) -> Int[Tensor, " b"]:
    """One code per clip, by inverting the cumulative distribution at `uniforms` in [0, 1)."""
    if sampling.greedy:
        return logits.argmax(dim=-1)
    cumulative = code_probabilities(logits, sampling).double().cumsum(dim=-1)
    threshold = uniforms.to(cumulative)[:, None] * cumulative[:, -1:]
    # right: a code of probability 0 in front of the threshold is never chosen
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0].clamp(
        max=logits.shape[-1] - 1
    )
