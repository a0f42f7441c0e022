"""Entry names of the published SSAST files, and sizes read off their entries.

Source: official repository YuanGongND/ssast.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, require_entries
from earsight.errors import WeightsError
from earsight.models.ssast.config import Pooling, SsastConfig, SsastTaggerConfig
from earsight.nn.deit_layout import NAMES, sizes_of

OFFICIAL_PREFIX = "module."
INPUT_BANDS, INPUT_FRAMES = "p_input_fdim", "p_input_tdim"
_PICTURES = Dropped("classifier of pictures, which the published network never uses")
_INPUT = Dropped("size of the input, kept with the sizes of the network")
_ENCODER: KeyMap = {
    **{f"v.{theirs}": f"encoder.{own}" for theirs, own in NAMES.items()},
    "v.head.{p}": _PICTURES,
    "v.head_dist.{p}": _PICTURES,
}
KEYS: KeyMap = {
    **_ENCODER,
    INPUT_BANDS: _INPUT,
    INPUT_FRAMES: _INPUT,
    "mask_embed": "masked",
    "cpredlayer.{i}.{p}": "match_head.{i}.{p}",
    "gpredlayer.{i}.{p}": "rebuild_head.{i}.{p}",
}
TAGGER_KEYS: KeyMap = {
    **_ENCODER,
    "mlp_head.0.{p}": "head_norm.{p}",
    "mlp_head.1.{p}": "head.{p}",
}


def config_from_entries(entries: Mapping[str, Tensor], *, num_mels: int = 128) -> SsastConfig:
    """Sizes of a pre-trained file (entries without `module.`) read off names and shapes.

    The file's own input size counts; without values (or entries that hold it) it is `num_mels`
    bands and as many frames as there are patches for. Heads are 64 wide. Raises WeightsError for
    other entries, and where the input size gives another number of patches.
    """
    require_entries(entries, ("mask_embed", "cpredlayer.0.weight"), what="SSAST as pre-trained")
    sizes = sizes_of(entries, prefix="v.")
    num_mels = _stored(entries, INPUT_BANDS) or num_mels
    rows = num_mels // sizes.patch[0]
    if not rows or sizes.num_patches % rows:
        raise WeightsError(
            f"SSAST: {sizes.num_patches} patches of {sizes.patch[0]} x {sizes.patch[1]} make no "
            f"grid over {num_mels} bands: give the number of bands"
        )
    columns = sizes.num_patches // rows
    num_frames = _stored(entries, INPUT_FRAMES) or columns * sizes.patch[1]
    config = SsastConfig(
        num_mels=num_mels,
        num_frames=num_frames,
        patch=sizes.patch,
        width=sizes.width,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden=sizes.hidden,
    )
    if config.grid != (rows, columns):
        raise WeightsError(
            f"SSAST: the file says {num_frames} frames, its position table holds {rows} x "
            f"{columns} patches of {sizes.patch[1]} frames"
        )
    return config


def tagger_config_from_entries(
    entries: Mapping[str, Tensor],
    *,
    num_frames: int,
    strides: tuple[int, int],
    num_mels: int = 128,
    pooling: Pooling = "patches",
) -> SsastTaggerConfig:
    """Sizes of a fine-tuned file, whose shapes tell neither length, nor strides, nor pooling.

    Raises WeightsError for other entries, and where the input gives another number of patches.
    """
    require_entries(entries, ("mlp_head.1.weight",), what="SSAST as fine-tuned")
    sizes = sizes_of(entries, prefix="v.")
    config = SsastTaggerConfig(
        num_mels=num_mels,
        num_frames=num_frames,
        patch=sizes.patch,
        strides=strides,
        width=sizes.width,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden=sizes.hidden,
        num_classes=entries["mlp_head.1.weight"].shape[0],
        pooling=pooling,
    )
    rows, columns = config.grid
    if rows * columns != sizes.num_patches:
        raise WeightsError(
            f"SSAST: {num_frames} frames of {num_mels} bands give {rows} x {columns} patches, the "
            f"file's position table holds {sizes.num_patches}"
        )
    return config


def _stored(entries: Mapping[str, Tensor], name: str) -> int | None:
    """A size the file holds; None where there is none, or no memory behind it."""
    value = entries.get(name)
    return None if value is None or value.is_meta or value.numel() != 1 else int(value)
