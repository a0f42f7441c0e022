"""What a simple classifier reads from frozen features: a linear one, and the nearest neighbours.

Features are standardised by the training clips. Everything is in float64 and draws nothing, so a
result is the same in every run.

Axes: n training clips, m test clips, d features, k classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError

DECAYS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weight decays to choose from."""
NEIGHBOURS = 10
TEMPERATURE = 0.07
INNER_FOLDS = 5
MOST_STEPS = 2000
FLAT, NEARLY_FLAT = 1e-8, 1e-5
"""Largest entry of the gradient at which a fit has ended; the second while choosing a decay."""
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearProbe:
    """Probabilities of the test clips, and how the classifier behind them was chosen.

    `decay` is the weight decay with the least mean loss on inner held-out clips, which
    `inner_losses` holds for each. `gradient` is the largest entry of the gradient at the end.
    """

    probabilities: Float[Tensor, "m k"]
    decay: float
    inner_losses: Mapping[float, float]
    gradient: float


@dataclass(frozen=True, slots=True)
class _Fit:
    weight: Float[Tensor, "d k"]
    bias: Float[Tensor, " k"]
    gradient: float


def linear_probe(
    train_x: Float[Tensor, "n d"],
    train_y: Bool[Tensor, "n k"],
    test_x: Float[Tensor, "m d"],
    *,
    groups: Int[Tensor, " n"] | None = None,
    decays: Sequence[float] = DECAYS,
) -> LinearProbe:
    """Logistic regression: mean cross-entropy plus half of `decay` times the squared weights.

    One softmax over the classes where every training clip has one class, else each class by
    itself. The decay is chosen by holding out one group of training clips after the other (five
    blocks of each class where none are given), then all of them are fitted. Raises InputError for
    less than two classes with clips, less than two groups, and features that are not finite.
    """
    train_x, test_x = _finite(train_x), _finite(test_x)
    if int(train_y.any(dim=0).sum()) < 2 or not bool(train_y.any(dim=1).all()):
        raise InputError("a probe needs clips of two classes, and a class for every training clip")
    losses = {float(decay): 0.0 for decay in decays}
    if len(losses) > 1:
        groups = class_blocks(train_y) if groups is None else groups
        losses = _inner_losses(train_x, train_y, groups, list(losses))
    best = min(losses, key=lambda decay: (losses[decay], -decay))
    own, other = standardised(train_x, test_x)
    single, stronger = _single(train_y), [decay for decay in losses if decay >= best]
    fit = _path(own, train_y, stronger, single=single, flat=FLAT)[best]
    logits = other @ fit.weight + fit.bias
    return LinearProbe(
        probabilities=logits.softmax(dim=1) if single else logits.sigmoid(),
        decay=best,
        inner_losses=losses,
        gradient=fit.gradient,
    )


def knn(
    train_x: Float[Tensor, "n d"],
    train_y: Bool[Tensor, "n k"],
    test_x: Float[Tensor, "m d"],
    *,
    num_neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, "m k"]:
    """Share of each class among the nearest training clips, each weighted by its likeness.

    Likeness is the cosine; the weight is its exponential over `temperature`. Of clips that are
    alike the first counts as nearer. Raises InputError as `linear_probe` does for features.
    Source: Wu et al., "Unsupervised feature learning via non-parametric instance discrimination",
    2018, sec. 3.4.
    """
    if num_neighbours < 1 or temperature <= 0:
        raise InputError(
            f"neighbours ({num_neighbours}) must be at least 1, temperature ({temperature}) above 0"
        )
    own, other = standardised(_finite(train_x), _finite(test_x))
    own, other = functional.normalize(own, dim=1), functional.normalize(other, dim=1)
    classes = train_y.to(own.dtype)
    votes: list[Tensor] = []
    for first in range(0, len(other), ROWS_AT_ONCE):
        likeness: Tensor = other[first : first + ROWS_AT_ONCE] @ own.T
        found = likeness.sort(dim=1, descending=True, stable=True)
        alike, order = found.values[:, :num_neighbours], found.indices[:, :num_neighbours]
        weights = ((alike - alike[:, :1]) / temperature).exp()
        told = (weights[:, :, None] * classes[order]).sum(dim=1)
        votes.append(told / weights.sum(dim=1, keepdim=True))
    return torch.cat(votes)


def standardised(
    train: Float[Tensor, "n d"], test: Float[Tensor, "m d"]
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]:
    """Both less the training clips' mean, over their deviation; constant features become 0."""
    mean, spread = train.mean(dim=0), train.std(dim=0, correction=0)
    constant = spread <= 1e-12 * train.abs().amax(dim=0).clamp_min(1.0)
    scale = torch.where(constant, 0.0, 1.0 / torch.where(constant, 1.0, spread))
    return (train - mean) * scale, (test - mean) * scale


def class_blocks(classes: Bool[Tensor, "n k"], num_blocks: int = INNER_FOLDS) -> Int[Tensor, " n"]:
    """Blocks of the clips of each class in their order, which keep takes of one sound together."""
    first = classes.to(torch.int64).argmax(dim=1)
    blocks = torch.zeros_like(first)
    for number in range(classes.shape[1]):
        own = (first == number).nonzero()[:, 0]
        blocks[own] = torch.arange(len(own), device=own.device) * num_blocks // max(1, len(own))
    return blocks


def _inner_losses(
    x: Float[Tensor, "n d"],
    classes: Bool[Tensor, "n k"],
    groups: Int[Tensor, " n"],
    decays: Sequence[float],
) -> dict[float, float]:
    """Mean loss of each clip under fits without its group."""
    numbers = sorted(set(cast(list[int], groups.tolist())))
    if len(numbers) < 2:
        raise InputError("choosing a weight decay needs two groups of training clips")
    losses, single = dict.fromkeys(decays, 0.0), _single(classes)
    for number in numbers:
        kept = groups != number
        inner, held_out = standardised(x[kept], x[~kept])
        fits = _path(inner, classes[kept], decays, single=single, flat=NEARLY_FLAT)
        for decay, fit in fits.items():
            logits = held_out @ fit.weight + fit.bias
            loss = float(_loss(logits, classes[~kept], single=single))
            losses[decay] += loss * len(held_out) / len(x)
    return losses


def _path(
    x: Float[Tensor, "n d"],
    classes: Bool[Tensor, "n k"],
    decays: Sequence[float],
    *,
    single: bool,
    flat: float,
) -> dict[float, _Fit]:
    """A fit for each decay, from the strongest on, each begun where the last one ended."""
    fits: dict[float, _Fit] = {}
    start = _Fit(x.new_zeros(x.shape[1], classes.shape[1]), x.new_zeros(classes.shape[1]), 0.0)
    for decay in sorted(decays, reverse=True):
        start = fits[decay] = _fit(x, classes, decay, start, single=single, flat=flat)
    return fits


def _fit(
    x: Float[Tensor, "n d"],
    classes: Bool[Tensor, "n k"],
    decay: float,
    start: _Fit,
    *,
    single: bool,
    flat: float,
) -> _Fit:
    """The minimum, which is one alone; the bias is not decayed."""
    weight = start.weight.clone().requires_grad_()
    bias = start.bias.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [weight, bias],
        max_iter=MOST_STEPS,
        tolerance_grad=flat,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        search.zero_grad()
        loss = _loss(x @ weight + bias, classes, single=single)
        loss = loss + decay / 2 * weight.square().sum()
        loss.backward()
        return float(loss.detach())

    search.step(closure)
    closure()
    assert weight.grad is not None
    assert bias.grad is not None
    steepest = max(float(weight.grad.abs().max()), float(bias.grad.abs().max()))
    return _Fit(weight.detach(), bias.detach(), steepest)


def _loss(
    logits: Float[Tensor, "n k"], classes: Bool[Tensor, "n k"], *, single: bool
) -> Float[Tensor, ""]:
    targets = classes.to(logits.dtype)
    if single:
        return functional.cross_entropy(logits, targets)
    # summed over classes, so that a decay means the same for any number of them
    return functional.binary_cross_entropy_with_logits(logits, targets) * classes.shape[1]


def _single(classes: Bool[Tensor, "n k"]) -> bool:
    return bool((classes.sum(dim=1) == 1).all())


def _finite(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    if not bool(x.isfinite().all()):
        raise InputError("features must be finite: the network gave NaN or infinity")
    return x.double()
