"""Transformer over patches of a spectrogram behind two class tokens, built as the distilled DeiT.

Axes: b clips, t frames, m mel bands, n patches, d width, a all tokens (n + 2).
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.nn.attention import JointAttention, PreNormBlock
from earsight.nn.position_tables import Grid, patch_grid
from earsight.nn.recompute import run_block

NUM_CLASS_TOKENS = 2
NORM_EPSILON = 1e-6
INITIAL_STD = 0.02


class TwoTokenTransformer(nn.Module):
    """Patch embedding, two class tokens, one learned position per token, pre-norm blocks, norm.

    `size`, `patch` and `strides` are bands, then frames; patches are counted row by row. Positions
    belong to one input size. Source: Touvron et al., "Training data-efficient image transformers",
    2021, sec. 4; Gong et al., "AST: audio spectrogram transformer", 2021, sec. 2.1.
    """

    def __init__(
        self,
        *,
        size: Grid,
        patch: Grid,
        strides: Grid,
        width: int,
        num_layers: int,
        num_heads: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.grid = patch_grid(size=size, patch=patch, strides=strides)
        num_patches = self.grid[0] * self.grid[1]
        self.patches = nn.Conv2d(1, width, patch, stride=strides)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, NUM_CLASS_TOKENS + num_patches, width))
        self.blocks = nn.ModuleList(
            PreNormBlock(
                JointAttention(width=width, num_heads=num_heads),
                width=width,
                hidden=hidden,
                epsilon=NORM_EPSILON,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self._initialise()

    def forward(
        self, mel: Float[Tensor, "b t m"], *, recompute: bool = False
    ) -> Float[Tensor, "b a d"]:
        """Normalised tokens, the two class tokens first; raises as `embed` does."""
        return self.encode(self.embed(mel), recompute=recompute)

    def embed(self, mel: Float[Tensor, "b t m"]) -> Float[Tensor, "b n d"]:
        """Patches without positions; InputError for a spectrogram of another size."""
        num_bands, num_frames = self.size
        if tuple(mel.shape[1:]) != (num_frames, num_bands):
            raise InputError(
                f"spectrogram has {mel.shape[1]} frames of {mel.shape[2]} bands, this network's "
                f"positions are for {num_frames} frames of {num_bands}: pad or cut it, or carry "
                "the network over to that size"
            )
        return rearrange(self.patches(rearrange(mel, "b t m -> b 1 m t")), "b d r c -> b (r c) d")

    def encode(
        self, patches: Float[Tensor, "b n d"], *, recompute: bool = False
    ) -> Float[Tensor, "b a d"]:
        """Class tokens in front, positions added, through the blocks and the norm.

        `recompute` saves memory in training.
        """
        own = torch.cat([self.class_token, self.distillation_token], dim=1)
        x = torch.cat([own.expand(patches.shape[0], -1, -1), patches], dim=1) + self.positions
        for block in self.blocks:
            x = run_block(block, x, recompute=recompute)
        return self.norm(x)

    def _initialise(self) -> None:
        """Truncated normal matrices, tokens and positions; the patch embedding as layers begin."""
        for own in (self.class_token, self.distillation_token, self.positions):
            nn.init.trunc_normal_(own, std=INITIAL_STD)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=INITIAL_STD)
                nn.init.zeros_(layer.bias)
