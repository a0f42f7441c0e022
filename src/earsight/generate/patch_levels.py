"""How loud patches are that a network predicts in shape alone.

An Audio-MAE that learned on targets of mean 0 and variance 1 in each patch says nothing of a
hidden patch's mean and spread. They are guessed here from the visible patches around it.

Axes: b clips, n tokens, v values of a patch.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earsight.losses.reconstruction import patch_statistics
from earsight.models.audiomae.config import Grid

# visible patches count by the inverse of their distance, in patches, to this power: the best of 2,
# 3, 4 and 6 on recordings of ESC-10, over all kinds of masks
NEARNESS = 4.0
USUAL_SPREAD = 0.5
"""That of network inputs by their normalisation, with mean 0; taken where nothing is visible."""


def with_levels_around(
    predicted: Float[Tensor, "b n v"],
    original: Float[Tensor, "b n v"],
    masked: Bool[Tensor, "b n"],
    grid: Grid,
) -> Float[Tensor, "b n v"]:
    """Predicted shapes with mean and spread guessed from the visible patches around them.

    Nothing of a masked patch's `original` is used.
    """
    own = patch_statistics(original)
    levels = torch.cat([own.mean, own.spread.log()], dim=-1)
    places = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).float()
    nearness = torch.cdist(places, places).clamp(min=0.5) ** -NEARNESS
    weights = nearness * (~masked)[:, None, :]  # (b, patch, visible patch)
    usual = levels.new_tensor([0.0, math.log(USUAL_SPREAD)])
    total = weights.sum(dim=-1, keepdim=True)
    guessed = torch.where(total > 0, weights @ levels / total.clamp(min=1e-30), usual)
    return predicted * guessed[..., 1:].exp() + guessed[..., :1]
