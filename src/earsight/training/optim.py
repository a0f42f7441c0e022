"""Steps that every training loop shares."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from earsight.errors import ConfigError
from earsight.training.distributed import ALONE, World


def set_rate(optimizers: Optimizer | Iterable[Optimizer], rate: float) -> None:
    """Give every parameter group the learning rate, times its own `rate_scale` where it has one."""
    for optimizer in [optimizers] if isinstance(optimizers, Optimizer) else optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)


def update(
    optimizer: Optimizer, loss: Tensor, *, clip: float | None = None, world: World = ALONE
) -> float:
    """Backward, clip the gradients' total norm, step; returns the norm before clipping.

    Gradients are cleared first, so that another loss of the same step leaves nothing behind. A
    step whose norm is not finite is skipped and shows as such in the returned norm. `world`
    averages the gradients over its processes; leave it out for networks that it wrapped.
    """
    return accumulate(optimizer, [loss], num_parts=1, clip=clip, world=world)


def accumulate(
    optimizer: Optimizer,
    losses: Iterable[Tensor],
    *,
    num_parts: int,
    clip: float | None = None,
    world: World = ALONE,
) -> float:
    """One step from the mean of the losses of `num_parts` parts of a batch, each a mean itself.

    `losses` may be a generator that computes each loss when asked: its graph is freed before the
    next one is built, and equal parts give the gradient of the whole batch. Otherwise as `update`.
    Raises ConfigError when there are more or fewer losses.
    """
    optimizer.zero_grad(set_to_none=True)
    found = 0
    for loss in losses:
        (loss / num_parts).backward()  # pyright: ignore[reportUnknownMemberType] untyped in torch
        found += 1
    if found != num_parts:
        raise ConfigError(f"expected the losses of {num_parts} parts of a batch, got {found}")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    world.average_gradients(parameters)
    limit = float("inf") if clip is None else clip
    norm = float(nn.utils.clip_grad_norm_(parameters, limit))
    if torch.tensor(norm).isfinite():
        optimizer.step()
    return norm


def decay_groups(model: nn.Module, *, weight_decay: float) -> list[dict[str, object]]:
    """Parameter groups for AdamW: the weights of linear layers decay, nothing else does.

    Source: official repository v-iashin/SpecVQGAN, which follows minGPT.
    """
    decayed = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
    ]
