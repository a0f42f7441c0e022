"""Which patches SSAST hides: clusters of patches, or single frames.

Source: Gong et al., "SSAST: self-supervised audio spectrogram transformer", 2022, sec. 2.2;
official repository YuanGongND/ssast.
Axes: b clips, n patches, k masked patches, s starts, o offsets within a cluster.
"""

from collections.abc import Sequence
from random import Random

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from earsight.errors import ConfigError
from earsight.models.ssast.config import SsastConfig

CLUSTER_SIDES = (3, 4, 5)
_NEVER = 2**40  # later than any draw


def mask_numbers(
    config: SsastConfig, *, num_clips: int, num_masked: int, generator: torch.Generator
) -> Int[Tensor, "b k"]:
    """Numbers of the masked patches of every clip, drawn anew for each.

    Clusters, in ascending order, unless a patch spans all bands. Raises ConfigError for more
    masked patches than there can be.
    """
    num_patches = config.num_patches
    if config.clustered:
        columns = config.grid[1]
        return cluster_numbers(
            num_clips,
            num_patches=num_patches,
            columns=columns,
            num_masked=num_masked,
            generator=generator,
        )
    _check(num_masked, num_patches)
    noise = torch.rand(num_clips, num_patches, generator=generator, device=generator.device)
    return noise.argsort(dim=1)[:, :num_masked]


def mask_numbers_each(
    config: SsastConfig, *, num_masked: int, generators: Sequence[torch.Generator]
) -> Int[Tensor, "b k"]:
    """`mask_numbers` with a generator for every clip, so that a clip's do not depend on the batch.

    Raises ConfigError as `mask_numbers` does.
    """
    num_patches = config.num_patches
    own = [_branched(generator) for generator in generators]
    if not config.clustered:
        _check(num_masked, num_patches)
        noise = torch.stack([torch.rand(num_patches, generator=rng) for rng in own])
        return noise.argsort(dim=1)[:, :num_masked]
    _check(num_masked, num_patches - 2)
    low, high = CLUSTER_SIDES[0], CLUSTER_SIDES[-1] + 1
    sides = torch.cat([torch.randint(low, high, (1,), generator=rng) for rng in own])
    draws = torch.zeros(len(own), 0, dtype=torch.int64)
    while True:
        more = [torch.randint(num_patches, (num_patches,), generator=rng) for rng in own]
        draws = torch.cat([draws, torch.stack(more)], dim=1)
        found, enough = cover(sides, draws, num_patches, config.grid[1], num_masked)
        if bool(enough.all()):
            return found


def cluster_numbers(
    num_clips: int, *, num_patches: int, columns: int, num_masked: int, generator: torch.Generator
) -> Int[Tensor, "b k"]:
    """Clusters of all clips at once, distributed as those of `reference_cluster`.

    Each clip has one side out of 3, 4, 5; clusters begin anywhere until more than `num_masked`
    patches are hidden, of which the first are kept.
    """
    _check(num_masked, num_patches - 2)
    device = generator.device
    low, high = CLUSTER_SIDES[0], CLUSTER_SIDES[-1] + 1
    sides = torch.randint(low, high, (num_clips,), generator=generator, device=device)
    draws = torch.zeros(num_clips, 0, dtype=torch.int64, device=device)
    while True:
        more = torch.randint(
            num_patches, (num_clips, num_patches), generator=generator, device=device
        )
        draws = torch.cat([draws, more], dim=1)
        found, enough = cover(sides, draws, num_patches, columns, num_masked)
        if bool(enough.all()):
            return found


def cover(
    sides: Int[Tensor, " b"],
    starts: Int[Tensor, "b s"],
    num_patches: int,
    columns: int,
    num_masked: int,
) -> tuple[Int[Tensor, "b k"], Bool[Tensor, " b"]]:
    """Patches that clusters hide, in ascending order, and whether the starts sufficed.

    Patch 0 is never hidden, and a cluster runs on into the next row at the right edge.
    """
    reach = torch.arange(CLUSTER_SIDES[-1], device=starts.device)
    down, right = (axis.flatten() for axis in torch.meshgrid(reach, reach, indexing="ij"))
    numbers = starts[:, :, None] + (down * columns + right)  # (b, s, o)
    inside = torch.maximum(down, right) < sides[:, None, None]
    valid = inside & (numbers > 0) & (numbers < num_patches)
    turn = torch.arange(starts.shape[1], device=starts.device)[:, None].expand_as(numbers)
    first = torch.full((len(sides), num_patches), _NEVER, device=starts.device)
    first = first.scatter_reduce(
        1,
        torch.where(valid, numbers, 0).flatten(1),
        torch.where(valid, turn, _NEVER).flatten(1),
        reduce="amin",
    )
    last = first.sort(dim=1).values[:, num_masked, None]  # the draw that hides one too many
    hidden = first <= last
    found = hidden.int().argsort(dim=1, descending=True, stable=True)[:, :num_masked]
    return found, last[:, 0] < _NEVER


def reference_cluster(
    generator: Random, *, num_patches: int, columns: int, num_masked: int
) -> list[int]:
    """The clusters of one clip, draw by draw as the official code makes them.

    The patches kept are the first in the order of a CPython set, which is ascending at all
    published sizes but not for few of many patches; that order is part of the reference.
    """
    _check(num_masked, num_patches - 2)
    side = CLUSTER_SIDES[0] + generator.randrange(len(CLUSTER_SIDES))
    hidden: set[int] = set()
    while len(hidden) <= num_masked:
        start = generator.randrange(num_patches)
        for down in range(side):
            for right in range(side):
                number = start + columns * down + right
                if 0 < number < num_patches:
                    hidden.add(number)
    return list(hidden)[:num_masked]


def reference_frames(generator: Random, *, num_patches: int, num_masked: int) -> list[int]:
    """The masked frames of one clip, as the official code draws them."""
    _check(num_masked, num_patches)
    return generator.sample(range(num_patches), num_masked)


def _branched(generator: torch.Generator) -> torch.Generator:
    """A generator that may be drawn from as often as is needed, without moving the other one on."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


def _check(num_masked: int, most: int) -> None:
    if not 0 < num_masked <= most:
        raise ConfigError(f"num_masked ({num_masked}) must lie in 1..{most} for this input")
