"""Bookkeeping of how often codes are used, and a second life for codes that are not.

Axes: n code positions, d code width, k codes.
Source: Dhariwal et al., "Jukebox", 2020, sec. 3 (random restarts).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.nn.quantize import Codebook


@dataclass(frozen=True, slots=True)
class CodeUseReport:
    """How well a codebook is used: `perplexity` is the effective number of codes in use.

    `dead` are the codes that never occurred.
    """

    num_codes: int
    share_used: float
    perplexity: float
    dead: tuple[int, ...]

    def numbers(self) -> dict[str, float]:
        """Named numbers for a log."""
        return {
            "codes_used": self.share_used,
            "perplexity": self.perplexity,
            "dead_codes": float(len(self.dead)),
        }


def report_code_use(codes: Int[Tensor, "*n"], *, num_codes: int) -> CodeUseReport:
    """Share of the codes that occur, their perplexity and the codes that never occur."""
    return report_counts(torch.bincount(codes.flatten(), minlength=num_codes))


def report_counts(counts: Int[Tensor, " k"]) -> CodeUseReport:
    """The same from how often every code occurred."""
    dead = tuple(code for code in range(counts.numel()) if not counts[code])
    share = counts.double() / counts.sum()
    return CodeUseReport(
        num_codes=counts.numel(),
        share_used=1 - len(dead) / counts.numel(),
        perplexity=effective_number(share),
        dead=dead,
    )


def effective_number(share: Float[Tensor, " k"]) -> float:
    """Number of codes that, used equally, would be as many: the exponential of the entropy."""
    return float((-share * share.clamp(min=1e-12).log()).sum().exp())


class CodeUsage:
    """Slowly forgetting share of every code; starts at equal shares."""

    def __init__(self, *, num_codes: int, decay: float = 0.98) -> None:
        self.share: Float[Tensor, " k"] = torch.full((num_codes,), 1 / num_codes)
        self.decay = decay

    def count(self, codes: Int[Tensor, "*n"]) -> None:
        """Take the codes of one batch into account."""
        found = torch.bincount(codes.flatten(), minlength=self.share.numel()) / codes.numel()
        self.share = self.decay * self.share.to(found.device) + (1 - self.decay) * found

    @torch.no_grad()
    def revive(
        self,
        codebook: Codebook,
        latents: Float[Tensor, "n d"],
        *,
        generator: torch.Generator,
        fair_share: float = 0.1,
    ) -> int:
        """Move rarely used codes onto latents drawn at random; returns how many moved.

        Rare is less than `fair_share` of an equal share. The codebook is changed in place.
        """
        rare = (self.share < fair_share / self.share.numel()).nonzero()[:, 0]
        rare = rare[: latents.shape[0]]
        drawn = torch.randperm(latents.shape[0], generator=generator)[: rare.numel()].to(
            latents.device
        )
        codebook.embedding.weight[rare] = latents[drawn].to(codebook.embedding.weight.dtype)
        self.share[rare] = 1 / self.share.numel()
        return rare.numel()
