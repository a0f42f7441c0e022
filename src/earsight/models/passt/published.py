"""Entry names of the published PaSST files, and sizes read off their entries.

Source: official repository kkoutini/PaSST.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, require_entries
from earsight.models.passt.config import PasstConfig

HEAD_WIDTH = 64  # of every published size
BLOCK_KEYS = {
    "norm1": "norm_attention",
    "norm2": "norm_feedforward",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.project",
    "mlp.fc1": "feedforward.grow",
    "mlp.fc2": "feedforward.shrink",
}
KEYS: KeyMap = {
    "cls_token": "class_token",
    "dist_token": "distillation_token",
    "new_pos_embed": "token_positions",
    "freq_new_pos_embed": "band_positions",
    "time_new_pos_embed": "time_positions",
    "patch_embed.proj.{p}": "patches.{p}",
    "norm.{p}": "norm.{p}",
    "head.0.{p}": "head_norm.{p}",
    "head.1.{p}": "head.{p}",
    "head_dist.{p}": Dropped("second head, which the published network never uses"),
    **{
        f"blocks.{{i}}.{theirs}.{{p}}": f"blocks.{{i}}.{own}.{{p}}"
        for theirs, own in BLOCK_KEYS.items()
    },
}


def config_from_entries(
    entries: Mapping[str, Tensor], *, num_mels: int = 128, num_heads: int | None = None
) -> PasstConfig:
    """Sizes of a published network read off its entries' names and shapes.

    Rows of the band table tell the stride, which the published networks use over time as well;
    heads are 64 wide unless `num_heads` is given. Raises WeightsError when the entries are not
    those of PaSST.
    """
    needed = (
        *("freq_new_pos_embed", "time_new_pos_embed", "patch_embed.proj.weight", "head.1.weight"),
    )
    require_entries(entries, needed, what="PaSST as published")
    width, _, patch, _ = entries["patch_embed.proj.weight"].shape
    rows = entries["freq_new_pos_embed"].shape[2]
    stride = (num_mels - patch) // (rows - 1) if rows > 1 else num_mels
    num_layers = 0
    while f"blocks.{num_layers}.norm1.weight" in entries:
        num_layers += 1
    hidden = entries.get("blocks.0.mlp.fc1.weight")
    return PasstConfig(
        num_mels=num_mels,
        patch=patch,
        strides=(stride, stride),
        max_columns=entries["time_new_pos_embed"].shape[3],
        width=width,
        num_layers=num_layers,
        num_heads=num_heads or max(1, width // HEAD_WIDTH),
        hidden=4 * width if hidden is None else hidden.shape[0],
        num_classes=entries["head.1.weight"].shape[0],
    )
