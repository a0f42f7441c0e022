"""Training that starts from weights of another run, with nothing left unsaid.

Source: official repository v-iashin/SpecVQGAN loads with missing entries allowed, which once let
a whole network start from random values unnoticed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earsight.errors import WeightsError


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Names of the entries that were taken, that stayed as initialised, that were left over."""

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]

    def told(self) -> str:
        """One sentence for logs and cards."""
        return (
            f"{len(self.taken)} entries taken ({_parts(self.taken)}); freshly initialised: "
            f"{_parts(self.fresh)}; left over: {_parts(self.unused)}"
        )


@torch.no_grad()
def warm_start(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    fresh: Sequence[str] = (),
    unused: Sequence[str] = (),
) -> WarmStart:
    """Copy entries of the same name and shape into `model`, in place.

    `fresh` names the parts of the model that stay as initialised, `unused` the parts of `tensors`
    that are left over; each covers an entry of that name and everything below it. Raises
    WeightsError that lists every other entry without a counterpart or of another shape, and every
    name in `fresh` and `unused` that covers nothing; the model is then unchanged.
    """
    own = dict(model.state_dict())
    wanted = [name for name in own if not _covered(name, fresh)]
    offered = [name for name in tensors if not _covered(name, unused)]
    problems = [f"{name} missing" for name in wanted if name not in tensors]
    problems += [f"{name} has no place in the model" for name in offered if name not in own]
    problems += [f"{name} is both offered and fresh" for name in offered if _covered(name, fresh)]
    problems += [
        f"{name} file {tuple(tensors[name].shape)} model {tuple(own[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    problems += [f"no entry of the model is under '{p}'" for p in _idle(fresh, own)]
    problems += [f"no entry of the file is under '{p}'" for p in _idle(unused, tensors)]
    if problems:
        raise WeightsError(
            f"warm start: {len(problems)} of {len(own)} entries do not fit: "
            + "; ".join(problems[:20])
            + ": name parts that stay fresh or are left over, or start from other weights"
        )
    for name in wanted:
        own[name].copy_(tensors[name])
    kept = tuple(name for name in own if name not in set(wanted))
    return WarmStart(tuple(wanted), kept, tuple(n for n in tensors if n not in set(wanted)))


def _covered(name: str, parts: Iterable[str]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in parts)


def _idle(parts: Iterable[str], names: Iterable[str]) -> list[str]:
    known = list(names)
    return [part for part in parts if not any(_covered(name, [part]) for name in known)]


def _parts(names: Iterable[str]) -> str:
    return ", ".join(sorted({name.partition(".")[0] for name in names})) or "none"
