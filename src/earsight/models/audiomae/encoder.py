"""The transformer over patches that pre-training and tagging share.

Source: Audio-MAE, sec. 3; official repository facebookresearch/AudioMAE.

Axes: b clips, t frames, m mel bands, k visible tokens, a visible tokens and the class token,
d width, l layers.
"""

from collections.abc import Iterator

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import InputError
from earsight.models.audiomae.config import EncoderConfig
from earsight.models.audiomae.patches import check_size, patchify, positions_for, table_of
from earsight.nn.attention import JointAttention, PreNormBlock
from earsight.nn.drop_path import branch_scales, linear_rates
from earsight.nn.recompute import run_block

NORM_EPSILON = 1e-6
TOKEN_STD = 0.02


class PatchEncoder(nn.Module):
    """Patches and a class token with fixed positions, through pre-norm blocks; no norm at the end.

    Only visible tokens are embedded and computed. The position table is stored, not learned.
    """

    positions: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patches = nn.Linear(config.patch_values, width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        table = table_of(config.grid, tokens_per_row=config.row_of_positions, width=width)
        self.register_buffer("positions", table)
        self.blocks = nn.ModuleList(
            PreNormBlock(
                JointAttention(width=width, num_heads=config.num_heads),
                width=width,
                hidden=config.hidden,
                epsilon=NORM_EPSILON,
            )
            for _ in range(config.num_layers)
        )
        self.blocks.apply(initialise)
        nn.init.xavier_uniform_(self.patches.weight)  # its bias stays as PyTorch draws it
        nn.init.normal_(self.class_token, std=TOKEN_STD)

    def forward(
        self,
        fbank: Float[Tensor, "b t m"],
        kept: Int[Tensor, "b k"] | None = None,
        *,
        scales: Float[Tensor, "l 2 b"] | None = None,
        recompute: bool = False,
    ) -> Float[Tensor, "b a d"]:
        """The class token, then the `kept` tokens (all without it) in their order.

        `scales` are those of `drop_scales`; `recompute` saves memory in training. Raises
        InputError for other bands or less than one patch.
        """
        x = self.embed(fbank, kept)
        for after in self.layers(x, scales=scales, recompute=recompute):
            x = after
        return x

    def embed(
        self, fbank: Float[Tensor, "b t m"], kept: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b a d"]:
        """Class token and embedded patches, with their positions."""
        check_size(fbank.shape[1], fbank.shape[2], self.config)
        columns, rows = self.config.grid_of(fbank.shape[1])
        table = positions_for(
            self.positions,
            num_tokens=columns * rows,
            tokens_per_row=self.config.row_of_positions,
        )
        x = self.patches(patchify(fbank, self.config, kept=kept))
        x = x + (table[:, 1:] if kept is None else functional.embedding(kept, table[0, 1:]))
        first = (self.class_token + table[:, :1]).to(x.dtype)
        return torch.cat([first.expand(len(x), -1, -1), x], dim=1)

    def layers(
        self,
        x: Float[Tensor, "b a d"],
        *,
        scales: Float[Tensor, "l 2 b"] | None = None,
        recompute: bool = False,
    ) -> Iterator[Float[Tensor, "b a d"]]:
        """The tokens after each block."""
        for index, block in enumerate(self.blocks):
            x = run_block(block, x, None if scales is None else scales[index], recompute=recompute)
            yield x

    def drop_scales(
        self, rate: float, *, batch: int, rng: torch.Generator | None
    ) -> Float[Tensor, "l 2 b"] | None:
        """Factors of stochastic depth, rising from 0 to `rate` over the blocks; None without.

        Raises InputError where draws are needed and no generator is given.
        """
        if not rate or not self.training or not len(self.blocks):
            return None
        if rng is None:
            raise InputError(f"drop_path is {rate:g}: in training pass a generator (rng=...)")
        rates = [own for own in linear_rates(rate, len(self.blocks)) for _ in range(2)]
        return rearrange(branch_scales(rates, batch, rng=rng), "(l s) b -> l s b", s=2)


def initialise(module: nn.Module) -> None:
    """Linear layers as published: uniform after Xavier, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
