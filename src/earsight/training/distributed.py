"""One process or many: `torchrun` starts them, DDP joins their gradients."""

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from earsight.errors import ConfigError

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class World:
    """This process among all: its number, how many there are, its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def part(self, batch: int) -> range:
        """Positions of the global batch that this process works on, in a row.

        Raises ConfigError for a batch that does not divide evenly: means would differ.
        """
        if batch % self.size:
            raise ConfigError(f"a batch of {batch} does not divide among {self.size} processes")
        own = batch // self.size
        return range(self.rank * own, (self.rank + 1) * own)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, or one that averages gradients over all processes at every backward pass."""
        if self.size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Named numbers averaged over all processes; every process must give the same names."""
        if self.size == 1:
            return dict(values)
        names = sorted(values)
        joined = torch.tensor([values[n] for n in names], dtype=torch.float64, device=self.device)
        distributed.all_reduce(joined)
        return {name: float(value) / self.size for name, value in zip(names, joined, strict=True)}

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes.

        For networks that are not wrapped: those whose parts are called one by one, or whose
        parameters are frozen on the way. Every process must hold gradients of the same ones.
        """
        if self.size == 1:
            return
        found = [p.grad for p in parameters if p.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in found])
        distributed.all_reduce(joined)
        start = 0
        for gradient in found:
            mean = joined[start : start + gradient.numel()] / self.size
            gradient.copy_(mean.view_as(gradient))
            start += gradient.numel()

    def gather(self, part: Tensor) -> Tensor:
        """The parts of all processes, in their order along the first axis; no gradient.

        Every process must give the same shape.
        """
        if self.size == 1:
            return part.detach()
        parts = [torch.empty_like(part) for _ in range(self.size)]
        distributed.all_gather(parts, part.detach().contiguous())
        return torch.cat(parts)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return self.mean({"flag": float(flag)})["flag"] > 0


ALONE = World(0, 1, torch.device("cpu"))


@contextmanager
def join_world(device: str = "auto") -> Generator[World]:
    """The processes that torchrun started, or this one alone.

    `device` "auto" takes a GPU where one is at hand.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    chosen = torch.device(device)
    if size == 1:
        yield World(0, 1, chosen)
        return
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), size, chosen)
    finally:
        distributed.destroy_process_group()
