"""Entry names of the published HTS-AT files, and sizes read off their entries.

Source: official repository RetroCirce/HTS-Audio-Transformer.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, Moved, require_entries, translate
from earsight.errors import WeightsError
from earsight.models.htsat.config import HtsatConfig, Labels

_TABLE = Dropped("constant of the spectrogram, which the front end computes with its own table")
_PLACES = Dropped("constant of the windows, which follows from their sizes")


def _same(x: Tensor) -> Tensor:
    return x


def _counted(x: Tensor) -> Tensor:
    """A counter as whole numbers: averaged weight files store it as a float."""
    return x.round().to(torch.int64)


_BLOCK_KEYS = {
    "norm1": "norm_attention",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.project",
    "norm2": "norm_feedforward",
    "mlp.fc1": "feedforward.grow",
    "mlp.fc2": "feedforward.shrink",
}
_STAGE_KEYS: KeyMap = {
    "layers.{i}.blocks.{j}.attn_mask": _PLACES,
    "layers.{i}.blocks.{j}.attn.relative_position_index": _PLACES,
    "layers.{i}.blocks.{j}.attn.relative_position_bias_table": (
        "stages.{i}.blocks.{j}.attention.bias_table"
    ),
    **{
        f"layers.{{i}}.blocks.{{j}}.{theirs}.{{p}}": f"stages.{{i}}.blocks.{{j}}.{own}.{{p}}"
        for theirs, own in _BLOCK_KEYS.items()
    },
    "layers.{i}.downsample.norm.{p}": "stages.{i}.merge.norm.{p}",
    "layers.{i}.downsample.reduction.weight": "stages.{i}.merge.reduce.weight",
}
KEYS: KeyMap = {
    "spectrogram_extractor.*": _TABLE,
    "logmel_extractor.*": _TABLE,
    "bn0.num_batches_tracked": Moved("band_norm.num_batches_tracked", _counted, _same),
    "bn0.{p}": "band_norm.{p}",
    "patch_embed.proj.{p}": "patches.{p}",
    "patch_embed.norm.{p}": "patch_norm.{p}",
    **_STAGE_KEYS,
    "norm.{p}": "norm.{p}",
    "tscam_conv.{p}": "token_head.{p}",
    "head.{p}": Dropped("second layer, which the published network never uses"),
}
PREFIX = "sed_model."
"""Prefix of every entry in the published training checkpoints."""

IMAGE_KEYS: KeyMap = {
    "patch_embed.proj.weight": Moved(
        "patches.weight", lambda x: x.mean(dim=1, keepdim=True), lambda x: x.expand(-1, 3, -1, -1)
    ),
    "patch_embed.proj.bias": "patches.bias",
    "patch_embed.norm.{p}": "patch_norm.{p}",
    **_STAGE_KEYS,
    "norm.{p}": "norm.{p}",
    "head.{p}": Dropped("classes of pictures"),
}
"""Entries of the image network that published training starts from: colours are averaged."""
NOT_IN_IMAGES = ("band_norm", "token_head")
"""Parts of HTS-AT that a start from pictures leaves as initialised."""
OTHER_CLASSES = ("token_head",)
"""Parts that fine-tuning on other classes leaves as initialised."""


def image_start(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Entries of swin_tiny_c24_patch4_window8_256 under our names, for `warm_start`.

    The parts in NOT_IN_IMAGES stay fresh. Raises WeightsError for any other file. Source: official
    repository RetroCirce/HTS-Audio-Transformer, whose patch kernel is the mean over the colours.
    """
    needed = ("patch_embed.proj.weight", "layers.0.blocks.0.attn.relative_position_bias_table")
    require_entries(entries, needed, what="a Swin transformer of pictures")
    return translate(entries, IMAGE_KEYS).entries


def config_from_entries(
    entries: Mapping[str, Tensor],
    *,
    strides: tuple[int, int] | None = None,
    picture: int | None = None,
    labels: Labels = "many",
) -> HtsatConfig:
    """Sizes of a published network read off its entries' names and shapes.

    Patches do not overlap unless `strides` says so. The picture follows from the number of
    windows of a stage whose windows are moved; without such a stage `picture` must be given.
    Nothing in a file tells `labels`. Raises WeightsError when the entries are not those of HTS-AT.
    """
    table = "layers.0.blocks.0.attn.relative_position_bias_table"
    needed = ("bn0.weight", "patch_embed.proj.weight", table, "tscam_conv.weight")
    require_entries(entries, needed, what="HTS-AT with its token-semantic layer")
    width, _, patch, _ = entries["patch_embed.proj.weight"].shape
    depths: list[int] = []
    num_heads: list[int] = []
    while (name := f"layers.{len(depths)}.blocks.0.norm1.weight") in entries:
        stage = name.removesuffix("0.norm1.weight")
        num_heads.append(entries[f"{stage}0.attn.relative_position_bias_table"].shape[1])
        depths.append(sum(f"{stage}{j}.norm1.weight" in entries for j in range(len(entries))))
    first_window = (math.isqrt(entries[table].shape[0]) + 1) // 2
    strides = strides or (patch, patch)
    return HtsatConfig(
        picture=picture or _picture(entries, len(depths), strides),
        patch=patch,
        strides=strides,
        num_mels=entries["bn0.weight"].shape[0],
        window=first_window,
        width=width,
        depths=tuple(depths),
        num_heads=tuple(num_heads),
        num_classes=entries["tscam_conv.weight"].shape[0],
        labels=labels,
    )


def _picture(entries: Mapping[str, Tensor], num_stages: int, strides: tuple[int, int]) -> int:
    for stage in range(num_stages):
        mask = entries.get(f"layers.{stage}.blocks.1.attn_mask")
        if mask is not None:
            num_windows, num_tokens, _ = mask.shape
            # rows x columns of this stage, both a share of the same picture
            tokens = num_windows * num_tokens
            return math.isqrt(tokens * strides[0] * strides[1]) * 2**stage
    raise WeightsError(
        "no stage of this file moves its windows, so that its picture's size cannot be told: "
        "pass picture=..."
    )
