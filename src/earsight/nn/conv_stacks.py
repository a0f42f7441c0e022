"""Convolutional encoder and decoder of the VQGAN family.

Axes: b items, c channels, h rows, w columns. Levels are counted from the full size downwards, in
the decoder too, as in the published weights.
Source: CompVis/taming-transformers; SpecVQGAN, sec. 3.1.
"""

from jaxtyping import Float
from torch import Tensor, nn

from earsight.nn.resblocks import (
    Downsample,
    ResidualBlock,
    SpatialAttention,
    Upsample,
    channels_last,
    group_norm,
    swish,
)


class Stage(nn.Module):
    """Residual blocks of one level, each followed by attention where the level has it."""

    def __init__(
        self,
        *,
        channels_in: int,
        channels_out: int,
        num_blocks: int,
        attention: bool,
        groups: int,
        dropout: float,
        resample: nn.Module | None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(
                channels_in=channels_in if i == 0 else channels_out,
                channels_out=channels_out,
                groups=groups,
                dropout=dropout,
            )
            for i in range(num_blocks)
        )
        self.attentions = nn.ModuleList(
            SpatialAttention(channels=channels_out, groups=groups)
            for _ in range(num_blocks if attention else 0)
        )
        self.resample = resample

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Blocks first, then the change of size."""
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attentions:
                x = self.attentions[i](x)
        return x if self.resample is None else self.resample(x)


class Middle(nn.Module):
    """Residual block, attention, residual block at the smallest size."""

    def __init__(self, *, channels: int, attention: bool, groups: int, dropout: float) -> None:
        super().__init__()
        self.block_in = ResidualBlock(
            channels_in=channels, channels_out=channels, groups=groups, dropout=dropout
        )
        self.attention: nn.Module = (
            SpatialAttention(channels=channels, groups=groups) if attention else nn.Identity()
        )
        self.block_out = ResidualBlock(
            channels_in=channels, channels_out=channels, groups=groups, dropout=dropout
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Same size."""
        return self.block_out(self.attention(self.block_in(x)))


class ConvEncoder(nn.Module):
    """Picture to latent grid; every level but the last halves both axes.

    `widths` are the channels per level, `attention_levels` say which levels attend.
    """

    def __init__(
        self,
        *,
        channels_in: int,
        stem: int,
        widths: tuple[int, ...],
        num_blocks: int,
        attention_levels: tuple[bool, ...],
        middle_attention: bool,
        channels_out: int,
        groups: int,
        dropout: float,
    ) -> None:
        super().__init__()
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(channels_in, stem, 3, padding=1)
        self.stages = nn.ModuleList(
            Stage(
                channels_in=widths[level - 1] if level else stem,
                channels_out=width,
                num_blocks=num_blocks,
                attention=attention_levels[level],
                groups=groups,
                dropout=dropout,
                resample=Downsample(channels=width) if level < last else None,
            )
            for level, width in enumerate(widths)
        )
        self.middle = Middle(
            channels=widths[-1], attention=middle_attention, groups=groups, dropout=dropout
        )
        self.norm_out = group_norm(widths[-1], groups)
        self.conv_out = nn.Conv2d(widths[-1], channels_out, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Latents at 2 ** (levels - 1) times fewer rows and columns, rounded down."""
        x = self.conv_in(channels_last(x))
        for stage in self.stages:
            x = stage(x)
        return self.conv_out(swish(self.norm_out(self.middle(x))))


class ConvDecoder(nn.Module):
    """Latent grid to picture; one block per level more than the encoder, no output activation."""

    def __init__(
        self,
        *,
        channels_in: int,
        widths: tuple[int, ...],
        num_blocks: int,
        attention_levels: tuple[bool, ...],
        middle_attention: bool,
        channels_out: int,
        groups: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels_in, widths[-1], 3, padding=1)
        self.middle = Middle(
            channels=widths[-1], attention=middle_attention, groups=groups, dropout=dropout
        )
        self.stages = nn.ModuleList(
            Stage(
                channels_in=widths[min(level + 1, len(widths) - 1)],
                channels_out=width,
                num_blocks=num_blocks + 1,
                attention=attention_levels[level],
                groups=groups,
                dropout=dropout,
                resample=Upsample(channels=width) if level else None,
            )
            for level, width in enumerate(widths)
        )
        self.norm_out = group_norm(widths[0], groups)
        self.conv_out = nn.Conv2d(widths[0], channels_out, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Pictures at 2 ** (levels - 1) times more rows and columns."""
        x = self.middle(self.conv_in(channels_last(x)))
        for stage in reversed(self.stages):
            x = stage(x)
        return self.conv_out(swish(self.norm_out(x)))
