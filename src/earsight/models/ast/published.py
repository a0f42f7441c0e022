"""Entry names of the published AST files in both layouts, and sizes read off their entries.

Sources: official repository YuanGongND/ast; the hub's MIT/ast-finetuned-* folders, whose files
hold query, key and value apart and set every layer norm's epsilon to 1e-12 (class scores differ
by less than 2e-5).
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, Stacked, require_entries
from earsight.errors import WeightsError
from earsight.models.ast.config import AstConfig
from earsight.nn.deit_layout import NAMES, DeitSizes, sizes_of
from earsight.nn.position_tables import patch_grid

OFFICIAL_PREFIX = "module."
HUB_PREFIX = "audio_spectrogram_transformer."
PUBLISHED_FRAMES = (1024, 512, 128)  # AudioSet, ESC-50, Speech Commands
_UNUSED = Dropped("classifier of pictures, which the published network never uses")
KEYS: KeyMap = {
    **{f"v.{theirs}": f"encoder.{own}" for theirs, own in NAMES.items()},
    "v.head.{p}": _UNUSED,
    "v.head_dist.{p}": _UNUSED,
    "mlp_head.0.{p}": "head_norm.{p}",
    "mlp_head.1.{p}": "head.{p}",
}
_LAYER, _BLOCK = f"{HUB_PREFIX}encoder.layer.{{i}}.", "encoder.blocks.{i}."
_EMBEDDINGS = f"{HUB_PREFIX}embeddings."
HUB_KEYS: KeyMap = {
    f"{_EMBEDDINGS}cls_token": "encoder.class_token",
    f"{_EMBEDDINGS}distillation_token": "encoder.distillation_token",
    f"{_EMBEDDINGS}position_embeddings": "encoder.positions",
    f"{_EMBEDDINGS}patch_embeddings.projection.{{p}}": "encoder.patches.{p}",
    f"{_LAYER}layernorm_before.{{p}}": f"{_BLOCK}norm_attention.{{p}}",
    f"{_LAYER}layernorm_after.{{p}}": f"{_BLOCK}norm_feedforward.{{p}}",
    **{
        f"{_LAYER}attention.attention.{name}.{{p}}": Stacked(
            f"{_BLOCK}attention.qkv.{{p}}", place, 3
        )
        for place, name in enumerate(("query", "key", "value"))
    },
    f"{_LAYER}attention.output.dense.{{p}}": f"{_BLOCK}attention.project.{{p}}",
    f"{_LAYER}intermediate.dense.{{p}}": f"{_BLOCK}feedforward.grow.{{p}}",
    f"{_LAYER}output.dense.{{p}}": f"{_BLOCK}feedforward.shrink.{{p}}",
    f"{HUB_PREFIX}layernorm.{{p}}": "encoder.norm.{p}",
    "classifier.layernorm.{p}": "head_norm.{p}",
    "classifier.dense.{p}": "head.{p}",
}


def config_from_entries(
    entries: Mapping[str, Tensor],
    *,
    num_mels: int = 128,
    num_frames: int | None = None,
    strides: tuple[int, int] | None = None,
) -> AstConfig:
    """Sizes of an official file (entries without `module.`) read off names and shapes.

    A position table's length is the number of patches alone: length and strides of the input are
    the published ones that give it, unless they are told. Heads are 64 wide. Raises WeightsError
    for other entries, and where no or more than one published input fits.
    """
    require_entries(entries, ("mlp_head.1.weight",), what="AST as published")
    sizes = sizes_of(entries, prefix="v.")
    return _config(
        sizes,
        num_classes=entries["mlp_head.1.weight"].shape[0],
        num_mels=num_mels,
        num_frames=num_frames,
        strides=strides,
    )


def hub_config_from_entries(
    entries: Mapping[str, Tensor],
    *,
    num_mels: int = 128,
    num_frames: int | None = None,
    strides: tuple[int, int] | None = None,
) -> AstConfig:
    """Sizes of a hub file; otherwise as `config_from_entries`."""
    kernel, table = (
        f"{_EMBEDDINGS}{name}"
        for name in ("patch_embeddings.projection.weight", "position_embeddings")
    )
    needed = (kernel, table, "classifier.dense.weight")
    require_entries(entries, needed, what="AST as the hub keeps it")
    width, channels, bands, frames = entries[kernel].shape
    num_layers = 0
    while f"{HUB_PREFIX}encoder.layer.{num_layers}.layernorm_before.weight" in entries:
        num_layers += 1
    hidden = entries.get(f"{HUB_PREFIX}encoder.layer.0.intermediate.dense.weight")
    sizes = DeitSizes(
        num_patches=entries[table].shape[1] - 2,
        channels=channels,
        patch=(bands, frames),
        width=width,
        num_layers=num_layers,
        hidden=4 * width if hidden is None else hidden.shape[0],
    )
    return _config(
        sizes,
        num_classes=entries["classifier.dense.weight"].shape[0],
        num_mels=num_mels,
        num_frames=num_frames,
        strides=strides,
    )


def _config(
    sizes: DeitSizes,
    *,
    num_classes: int,
    num_mels: int,
    num_frames: int | None,
    strides: tuple[int, int] | None,
) -> AstConfig:
    lengths = (num_frames,) if num_frames else PUBLISHED_FRAMES
    steps = (strides,) if strides else tuple((n, n) for n in range(1, max(sizes.patch) + 1))
    fits = [
        (length, step)
        for length in lengths
        for step in steps
        if length >= sizes.patch[1]
        and _count(num_mels, length, sizes.patch, step) == sizes.num_patches
    ]
    if len(fits) != 1:
        found = ", ".join(f"{length} frames with strides {step}" for length, step in fits)
        raise WeightsError(
            f"AST: {sizes.num_patches} patches of {sizes.patch[0]} x {sizes.patch[1]} and "
            f"{num_mels} bands fit {found or f'no input of {lengths} frames'}: tell num_frames "
            "and strides"
        )
    length, step = fits[0]
    return AstConfig(
        num_mels=num_mels,
        num_frames=length,
        patch=sizes.patch,
        strides=step,
        width=sizes.width,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden=sizes.hidden,
        num_classes=num_classes,
    )


def _count(num_mels: int, num_frames: int, patch: tuple[int, int], strides: tuple[int, int]) -> int:
    rows, columns = patch_grid(size=(num_mels, num_frames), patch=patch, strides=strides)
    return rows * columns
