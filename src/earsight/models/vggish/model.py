"""VGGish: 128 values from a log-mel example, and the published rotation and rounding of them.

Axes: n examples, t frames, m mel bands, d width.
"""

from itertools import pairwise
from typing import cast

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import InputError
from earsight.models.vggish.config import VGGishConfig, VGGishPcaConfig

PCA_LIMIT = 2.0
PCA_LEVELS = 255


class VGGish(nn.Module):
    """Sound embedding of `frontends.vggish_mel.log_mel_examples`.

    Values are those before the last rectifier, as all but the oldest tools use them; apply
    `relu` for the others. Source: Hershey et al., 2017; harritaylor/torchvggish.
    """

    def __init__(self, config: VGGishConfig) -> None:
        super().__init__()
        self.config = config
        widths = [1, *(width for level in config.levels for width in level)]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)
        )
        self.hidden_in = nn.Linear(config.num_pooled, config.hidden)
        self.hidden_out = nn.Linear(config.hidden, config.hidden)
        self.head = nn.Linear(config.hidden, config.width)

    def forward(self, examples: Float[Tensor, "n t m"]) -> Float[Tensor, "n d"]:
        """Embedding of each example; InputError for examples of another size."""
        expected = (self.config.num_frames, self.config.num_mels)
        if tuple(examples.shape[1:]) != expected:
            raise InputError(
                f"expected examples of {expected[0]} frames and {expected[1]} bands, got "
                f"{tuple(examples.shape[1:])}: make them with log_mel_examples"
            )
        x, convs = rearrange(examples, "n t m -> n 1 t m"), iter(self.convs)
        for level in self.config.levels:
            for _ in level:
                x = functional.relu(next(convs)(x))
            x = functional.max_pool2d(x, 2)
        x = rearrange(x, "n c t m -> n (t m c)")  # channels last, as the original was trained
        x = functional.relu(self.hidden_out(functional.relu(self.hidden_in(x))))
        return self.head(x)


class VGGishPca(nn.Module):
    """Rotated vectors, clipped to [-2, 2] and rounded to 0..255; no PyTorch FAD tool uses it."""

    def __init__(self, config: VGGishPcaConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("directions", torch.eye(config.width))
        self.register_buffer("means", torch.zeros(config.width, 1))

    def forward(self, embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Whole numbers from 0 to 255, as floats."""
        directions = cast(Tensor, self.directions)
        rotated = (directions @ (embedding.mT - cast(Tensor, self.means))).mT  # (n, d)
        clipped = rotated.clamp(-PCA_LIMIT, PCA_LIMIT)
        return ((clipped + PCA_LIMIT) * (PCA_LEVELS / (2 * PCA_LIMIT))).round()
