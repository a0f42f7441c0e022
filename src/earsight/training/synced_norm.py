"""Batch normalisation over the batch of all processes, on any device.

Axes: b clips, c channels, h rows, w columns.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from earsight.training.distributed import World


class _SumOverProcesses(torch.autograd.Function):
    """Sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *grad_outputs: Tensor) -> Tensor:
        total = grad_outputs[0].clone()
        distributed.all_reduce(total)
        return total


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of all processes' batches; the entries are those of torch.

    PyTorch's own needs a GPU. In training mode every process must call it equally often, with
    batches of one size; in evaluation it is plain batch norm.
    """

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise with the joint statistics and keep their running averages."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = x.numel() / x.shape[1] * distributed.get_world_size()
        mean = _total(x.sum((0, 2, 3))) / count
        centred = x - mean[:, None, None]
        variance = _total(centred.square().sum((0, 2, 3))) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(
            input.dtype
        )

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        share = 0.1 if self.momentum is None else self.momentum
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            if running is not None:
                running.lerp_(value, share)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronise_norms(module: nn.Module, world: World) -> None:
    """Replace every BatchNorm2d below `module` by a synchronised one, in place.

    Nothing happens in a world of one process. Parameters and statistics are taken over.
    """
    if world.size == 1:
        return
    for name, child in list(module.named_children()):
        if type(child) is nn.BatchNorm2d:
            synced = SyncedBatchNorm(child.num_features, eps=child.eps, momentum=child.momentum)
            synced.load_state_dict(child.state_dict())
            setattr(module, name, synced)
        else:
            synchronise_norms(child, world)


def _total(value: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    return cast(Tensor, _SumOverProcesses.apply(value))
