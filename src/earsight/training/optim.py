"""Steps that every training loop shares."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def set_rate(optimizers: Optimizer | Iterable[Optimizer], rate: float) -> None:
    """Give every parameter group the learning rate."""
    for optimizer in [optimizers] if isinstance(optimizers, Optimizer) else optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def update(optimizer: Optimizer, loss: Tensor, *, clip: float | None = None) -> float:
    """Backward, clip the gradients' total norm, step; returns the norm before clipping.

    Gradients are cleared first, so that another loss of the same step leaves nothing behind. A
    step whose norm is not finite is skipped and shows as such in the returned norm.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # pyright: ignore[reportUnknownMemberType] torch leaves it untyped
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
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
