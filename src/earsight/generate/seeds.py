"""One generator per item, made from a seed and the item's own place."""

import hashlib

import torch


def item_generator(seed: int, *place: int | str) -> torch.Generator:
    """CPU generator for one item; `place` names it (sample, candidate, purpose).

    Depends on nothing else, so an item draws the same numbers alone, in a batch and in any order.
    """
    name = "/".join(map(str, (seed, *place)))
    digest = hashlib.sha256(name.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
