"""Draws of a step that torch takes from its global generators, dropout above all."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch

from earsight.training.distributed import World


@contextmanager
def seeded_draws(seed: int, step: int, world: World) -> Generator[None]:
    """Inside the block torch's generators follow from seed, step and process alone.

    A resumed run so drops out the same values as an unbroken one; the processes of a world drop
    out different ones. The generators are put back at the end.
    """
    on_gpu = world.device.type == "cuda"
    state = np.random.SeedSequence([seed, step, world.rank]).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng(devices=[world.device] if on_gpu else []):
        torch.manual_seed(int(state >> np.uint64(1)))
        yield
