"""Learning rates as functions of the step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from earsight.errors import ConfigError

AST_WARMUP_STEPS, AST_WARMUP_EVERY = 1000, 50
HTSAT_STAIRS = ((1, 0.02), (2, 0.05), (11, 0.1), (21, 0.05), (31, 0.02))
HTSAT_AFTER = 0.03  # above the last stair: as published, not as in the paper
HTSAT_PAPER_STAIRS, HTSAT_PAPER_AFTER = ((1, 0.05), (2, 0.1), (11, 0.2), (21, 0.1)), 0.05


def warmup_cosine(
    step: int, *, peak: float, final: float, warmup_steps: int, num_steps: int
) -> float:
    """Rate of the update that follows `step` finished ones.

    Rises linearly to `peak` over `warmup_steps`, falls along half a cosine to `final * peak` at
    `num_steps` (which counts the warm-up in) and stays there. Raises ConfigError for a warm-up
    that never ends.
    """
    if not 0 <= warmup_steps < num_steps:
        raise ConfigError(
            f"warmup_steps ({warmup_steps}) must lie in 0..num_steps - 1 ({num_steps - 1})"
        )
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / (num_steps - warmup_steps))
    fall = 0.5 * (1 + math.cos(math.pi * done))
    return peak * (final + (1 - final) * fall)


def epoch_warmup_cosine(
    epoch: float, *, peak: float, lowest: float, warmup_epochs: float, num_epochs: float
) -> float:
    """Rate at a fractional epoch: 0 at the start, `peak` after the warm-up, `lowest` at the end.

    Differs from `warmup_cosine` in that the first update has a rate of 0, as masked autoencoders
    were trained. Raises ConfigError for a warm-up that never ends.
    Source: Audio-MAE, appendix; official repository facebookresearch/AudioMAE.
    """
    if not 0 <= warmup_epochs < num_epochs:
        raise ConfigError(
            f"warmup_epochs ({warmup_epochs:g}) must lie in 0..num_epochs ({num_epochs:g})"
        )
    if epoch < warmup_epochs:
        return peak * epoch / warmup_epochs
    done = min(1.0, (epoch - warmup_epochs) / (num_epochs - warmup_epochs))
    return lowest + (peak - lowest) * 0.5 * (1 + math.cos(math.pi * done))


def stairs(epoch: int, steps: Sequence[tuple[int, float]], *, after: float) -> float:
    """Factor of an epoch (the first is 0): that of the first step (end, factor) it comes before.

    `after` holds from the last end on. Raises ConfigError for ends that do not rise.
    """
    ends = [end for end, _ in steps]
    if ends != sorted(set(ends)):
        raise ConfigError(f"ends of steps must rise, got {ends}")
    return next((factor for end, factor in steps if epoch < end), after)


def htsat_factor(epoch: int) -> float:
    """Factor of HTS-AT's peak rate 1e-3, with the published rise after 30 epochs.

    Source: official repository RetroCirce/HTS-Audio-Transformer; the paper has 0.05, 0.1, 0.2
    instead, halved every 10 epochs down to 0.05.
    """
    return stairs(epoch, HTSAT_STAIRS, after=HTSAT_AFTER)


def htsat_paper_factor(epoch: int) -> float:
    """The paper's factors; where it does not say when a rate changes, official code's epochs.

    Source: Chen et al., "HTS-AT: a hierarchical token-semantic audio transformer", 2022, sec. 3.1.
    """
    return stairs(epoch, HTSAT_PAPER_STAIRS, after=HTSAT_PAPER_AFTER)


def warmup_milestones(
    step: int,
    *,
    peak: float,
    steps_per_epoch: int,
    milestones: Sequence[int],
    decay: float,
    warmup: bool = True,
) -> float:
    """Rate of the update that follows `step` finished ones, as AST and SSAST are trained.

    With `warmup` the rate is set anew every 50 steps up to the 1000th, to that share of `peak`: it
    is 0 for the first 50. After each epoch count in `milestones` it is multiplied by `decay`; the
    next setting during the warm-up forgets that, as official code does. Raises ConfigError for
    epochs without a step. Source: official repository YuanGongND/ast.
    """
    if steps_per_epoch < 1:
        raise ConfigError(f"an epoch has at least one step, got {steps_per_epoch}")
    last_set, rate = -1, peak
    if warmup:
        last_set = min(step, AST_WARMUP_STEPS) // AST_WARMUP_EVERY * AST_WARMUP_EVERY
        rate = peak * last_set / AST_WARMUP_STEPS
    passed = sum(last_set < epoch * steps_per_epoch <= step for epoch in milestones)
    return rate * decay**passed


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochSchedule:
    """A learning rate that counts in epochs, chosen by a recipe.

    `milestones`: times `decay` after every epoch in steps of `every` from `first` on, with AST's
    warm-up of 1000 steps where `slow_start` is set. `cosine`: up over `warmup_epochs`, then along
    half a cosine to 0 at the end. `htsat` and `htsat_paper`: the factors of those names, epoch by
    epoch.
    """

    kind: Literal["milestones", "cosine", "htsat", "htsat_paper"] = "milestones"
    first: int = 2
    every: int = 1
    decay: float = 0.5
    slow_start: bool = True
    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        """Refuse milestones that are none."""
        if min(self.first, self.every) < 1 or not 0 < self.decay <= 1 or self.warmup_epochs < 0:
            raise ConfigError(f"expected epochs from 1 on and a decay in (0, 1]: {self}")

    def rate(self, step: int, *, peak: float, steps_per_epoch: int, num_epochs: int) -> float:
        """Rate of the update that follows `step` finished ones of `num_epochs`."""
        match self.kind:
            case "milestones":
                return warmup_milestones(
                    step,
                    peak=peak,
                    steps_per_epoch=steps_per_epoch,
                    milestones=range(self.first, num_epochs + 1, self.every),
                    decay=self.decay,
                    warmup=self.slow_start,
                )
            case "cosine":
                return epoch_warmup_cosine(
                    (step + 1) / steps_per_epoch,
                    peak=peak,
                    lowest=0.0,
                    warmup_epochs=min(self.warmup_epochs, num_epochs / 2),
                    num_epochs=num_epochs + 1 / steps_per_epoch,
                )
            case "htsat":
                return peak * htsat_factor(step // steps_per_epoch)
            case "htsat_paper":
                return peak * htsat_paper_factor(step // steps_per_epoch)
