"""Entry names of distilled DeiT files, and the sizes that their shapes tell.

Source: official repositories facebookresearch/deit, YuanGongND/ast and YuanGongND/ssast, which
all keep the entry names of timm.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from earsight.errors import WeightsError

HEAD_WIDTH = 64  # of every published size
BLOCK_NAMES: Mapping[str, str] = {
    "norm1": "norm_attention",
    "norm2": "norm_feedforward",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.project",
    "mlp.fc1": "feedforward.grow",
    "mlp.fc2": "feedforward.shrink",
}
NAMES: Mapping[str, str] = {
    "cls_token": "class_token",
    "dist_token": "distillation_token",
    "pos_embed": "positions",
    "patch_embed.proj.{p}": "patches.{p}",
    "norm.{p}": "norm.{p}",
    **{
        f"blocks.{{i}}.{theirs}.{{p}}": f"blocks.{{i}}.{own}.{{p}}"
        for theirs, own in BLOCK_NAMES.items()
    },
}
"""Patterns of published names and those of `nn.two_token_transformer.TwoTokenTransformer`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeitSizes:
    """What the entries of a file tell; `patch` is bands, then frames (rows, then columns)."""

    num_patches: int
    channels: int
    patch: tuple[int, int]
    width: int
    num_layers: int
    hidden: int

    @property
    def num_heads(self) -> int:
        """Heads at the published width; shapes do not tell their number."""
        return max(1, self.width // HEAD_WIDTH)


def sizes_of(entries: Mapping[str, Tensor], *, prefix: str = "") -> DeitSizes:
    """Sizes of the network whose entries begin with `prefix`; WeightsError where one is missing."""
    needed = tuple(prefix + name for name in ("pos_embed", "dist_token", "patch_embed.proj.weight"))
    if missing := [name for name in needed if name not in entries]:
        raise WeightsError(
            f"expected a transformer with two class tokens, but {', '.join(missing)} is missing "
            f"among {len(entries)} entries: check which file this is"
        )
    kernel, table = entries[needed[2]], entries[needed[0]]
    if kernel.ndim != 4 or table.ndim != 3:
        raise WeightsError(
            f"expected a kernel of 4 axes and a position table of 3, got {tuple(kernel.shape)} and "
            f"{tuple(table.shape)}"
        )
    width, channels, bands, frames = kernel.shape
    num_layers = 0
    while f"{prefix}blocks.{num_layers}.norm1.weight" in entries:
        num_layers += 1
    hidden = entries.get(f"{prefix}blocks.0.mlp.fc1.weight")
    return DeitSizes(
        num_patches=table.shape[1] - 2,
        channels=channels,
        patch=(bands, frames),
        width=width,
        num_layers=num_layers,
        hidden=4 * width if hidden is None else hidden.shape[0],
    )
