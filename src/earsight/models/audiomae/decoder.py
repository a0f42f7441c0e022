"""The decoder of pre-training: masked tokens join the visible ones and all patches are predicted.

Source: Audio-MAE, sec. 3.2; official repository facebookresearch/AudioMAE.

Axes: b clips, a visible tokens and the class token, n tokens, d encoder width, c decoder width,
v values of a patch, x tokens over time, y tokens over bands.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.models.audiomae.config import DecoderBlock, DecoderConfig, EncoderConfig, Grid
from earsight.models.audiomae.encoder import NORM_EPSILON, TOKEN_STD, initialise
from earsight.models.audiomae.masking import TokenMask
from earsight.models.audiomae.patches import positions_for, table_of
from earsight.models.audiomae.windows import WindowBlock
from earsight.nn.attention import JointAttention, PreNormBlock
from earsight.nn.recompute import run_block


class PatchDecoder(nn.Module):
    """Predicts the values of every patch from the visible tokens."""

    positions: Tensor

    def __init__(self, config: DecoderConfig, encoder: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens_per_row = encoder.row_of_positions
        width = config.width
        self.embed = nn.Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        table = table_of(encoder.grid, tokens_per_row=self.tokens_per_row, width=width)
        self.register_buffer("positions", table)
        self.blocks = nn.ModuleList(_block(kind, config) for kind in config.blocks)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.predict = nn.Linear(width, encoder.patch_values)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=TOKEN_STD)

    def forward(
        self,
        latent: Float[Tensor, "b a d"],
        mask: TokenMask,
        *,
        grid: Grid,
        rng: torch.Generator | None = None,
        recompute: bool = False,
    ) -> Float[Tensor, "b n v"]:
        """Values of all patches; `latent` is the class token, then the tokens `mask` kept.

        `rng` draws what window blocks leave out in training; `recompute` saves memory there.
        """
        num_tokens = mask.order.shape[1]
        x = self.embed(latent)
        masked = self.mask_token.to(x.dtype).expand(len(x), num_tokens - mask.num_kept, -1)
        places = mask.restore[..., None].expand(-1, -1, x.shape[2])
        tokens = torch.cat([x[:, 1:], masked], dim=1).gather(1, places)
        table = positions_for(
            self.positions, num_tokens=num_tokens, tokens_per_row=self.tokens_per_row
        )
        if self.config.keeps_class_token:
            x = torch.cat([x[:, :1], tokens], dim=1) + table
            for block in self.blocks:
                x = run_block(block, x, recompute=recompute)
            x = x[:, 1:]
        else:
            x = self._through_map(tokens + table[:, 1:], grid=grid, rng=rng, recompute=recompute)
        return self.predict(self.norm(x))

    def _through_map(
        self,
        x: Float[Tensor, "b n c"],
        *,
        grid: Grid,
        rng: torch.Generator | None,
        recompute: bool,
    ) -> Float[Tensor, "b n c"]:
        """Tokens after blocks that may have windows; the map lies in whole windows there."""
        in_map = False
        for block in self.blocks:
            if isinstance(block, WindowBlock):
                x = x if in_map else _to_map(x, grid, window=block.window)
                in_map = True
                x = run_block(block, x, block.distances(rng), recompute=recompute)
            else:
                x = _to_tokens(x, grid) if in_map else x
                in_map = False
                x = run_block(block, x, recompute=recompute)
        return _to_tokens(x, grid) if in_map else x


def _block(kind: DecoderBlock, config: DecoderConfig) -> PreNormBlock | WindowBlock:
    if kind == "global":
        return PreNormBlock(
            JointAttention(width=config.width, num_heads=config.num_heads),
            width=config.width,
            hidden=config.hidden,
            epsilon=NORM_EPSILON,
        )
    return WindowBlock(
        width=config.width,
        num_heads=config.window_heads,
        hidden=config.hidden,
        window=config.window,
        shift=config.shift if kind == "shifted_window" else (0, 0),
        distance_hidden=config.distance_hidden,
    )


def _to_map(x: Float[Tensor, "b n c"], grid: Grid, *, window: Grid) -> Float[Tensor, "b x y c"]:
    """A map of whole windows: its last column and row are repeated where it would end in one.

    Published for overlapping patches, where 101 columns become 102.
    """
    whole = rearrange(x, "b (x y) c -> b c x y", x=grid[0])
    more = [-side % size for side, size in zip(grid, window, strict=True)]
    if any(more):
        whole = functional.pad(whole, (0, more[1], 0, more[0]), mode="replicate")
    return rearrange(whole, "b c x y -> b x y c")


def _to_tokens(x: Float[Tensor, "b x y c"], grid: Grid) -> Float[Tensor, "b n c"]:
    return rearrange(x[:, : grid[0], : grid[1]], "b x y c -> b (x y) c")
