"""Entry names of the published Synchformer file, and sizes read off its entries.

Source: official repositories v-iashin/Synchformer and hkchengrex/MMAudio.
"""

from collections.abc import Mapping
from math import isqrt

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap
from earsight.errors import WeightsError
from earsight.models.synchformer.config import SynchformerConfig

HEAD_WIDTH = 64
COMPARE_HEAD_WIDTH = 96
_VIDEO, _SOUND, _LAYER = "vfeat_extractor", "afeat_extractor.ast", "encoder.layer.{i}"
_VIDEO_BLOCK = {
    "norm1": "norm_space",
    "norm2": "norm_feedforward",
    "norm3": "norm_time",
    "attn.qkv": "space.qkv",
    "attn.proj": "space.project",
    "timeattn.qkv": "time.qkv",
    "timeattn.proj": "time.project",
    "mlp.fc1": "feedforward.grow",
    "mlp.fc2": "feedforward.shrink",
}
_SOUND_BLOCK = {
    "attention.attention.{q}": "attention.{q}",
    "attention.output.dense": "attention.project",
    "intermediate.dense": "feedforward.grow",
    "output.dense": "feedforward.shrink",
    "layernorm_before": "norm_attention",
    "layernorm_after": "norm_feedforward",
}
_COMPARE_BLOCK = {
    "ln1": "norm_attention",
    "ln2": "norm_feedforward",
    "attn.proj": "attention.project",
    "attn.{q}": "attention.{q}",
    "mlp.0": "feedforward.grow",
    "mlp.2": "feedforward.shrink",
}
_POOL = {
    "cls_token": "class_token",
    "self_attn.in_proj_weight": "block.attention.qkv.weight",
    "self_attn.in_proj_bias": "block.attention.qkv.bias",
    "self_attn.out_proj.{p}": "block.attention.project.{p}",
    "linear1.{p}": "block.feedforward.grow.{p}",
    "linear2.{p}": "block.feedforward.shrink.{p}",
    "norm1.{p}": "block.norm_attention.{p}",
    "norm2.{p}": "block.norm_feedforward.{p}",
}


def _under(theirs: str, own: str, table: Mapping[str, str], ending: str = "") -> dict[str, str]:
    return {f"{theirs}.{a}{ending}": f"{own}.{b}{ending}" for a, b in table.items()}


KEYS: KeyMap = {
    f"{_VIDEO}.cls_token": "video.class_token",
    f"{_VIDEO}.pos_embed": "video.positions",
    f"{_VIDEO}.temp_embed": "video.time_positions",
    f"{_VIDEO}.patch_embed_3d.proj.{{p}}": "video.patches.{p}",
    f"{_VIDEO}.patch_embed.proj.{{p}}": Dropped("patches of single pictures, never used"),
    f"{_VIDEO}.norm.{{p}}": "video.norm.{p}",
    **_under(f"{_VIDEO}.blocks.{{i}}", "video.blocks.{i}", _VIDEO_BLOCK, ".{p}"),
    **_under(f"{_VIDEO}.spatial_attn_agg", "video.pool", _POOL),
    f"{_SOUND}.embeddings.cls_token": "sound.class_token",
    f"{_SOUND}.embeddings.distillation_token": "sound.distillation_token",
    f"{_SOUND}.embeddings.position_embeddings": "sound.positions",
    f"{_SOUND}.embeddings.patch_embeddings.projection.{{p}}": "sound.patches.{p}",
    f"{_SOUND}.layernorm.{{p}}": "sound.norm.{p}",
    **_under(f"{_SOUND}.{_LAYER}", "sound.blocks.{i}", _SOUND_BLOCK, ".{p}"),
    **_under("afeat_extractor.freq_attn_agg", "sound.pool", _POOL),
    "vproj.{p}": "project_video.{p}",
    "aproj.{p}": "project_sound.{p}",
    "transformer.OFF_tok": "comparison.offset_token",
    "transformer.MOD_tok": "comparison.between_token",
    "transformer.vis_in_lnorm.{p}": "comparison.norm_video.{p}",
    "transformer.aud_in_lnorm.{p}": "comparison.norm_sound.{p}",
    "transformer.pos_emb_cfg.pos_emb": "comparison.positions",
    **_under("transformer.blocks.{i}", "comparison.blocks.{i}", _COMPARE_BLOCK, ".{p}"),
    "transformer.ln_f.{p}": "comparison.norm.{p}",
    "transformer.off_head.{p}": "comparison.head.{p}",
}


def config_from_entries(
    entries: Mapping[str, Tensor],
    *,
    num_mels: int = 128,
    mel_stride: int = 10,
    num_heads: int | None = None,
    compare_heads: int | None = None,
) -> SynchformerConfig:
    """Sizes of a published network read off its entries' names and shapes.

    Bands and stride of the spectrogram leave no trace of their own; heads are 64 wide, those of
    the comparison 96, unless their numbers are given. Raises WeightsError when the entries
    are not those of Synchformer.
    """
    names = {
        "kernel": f"{_VIDEO}.patch_embed_3d.proj.weight",
        "places": f"{_VIDEO}.pos_embed",
        "instants": f"{_VIDEO}.temp_embed",
        "hidden": f"{_VIDEO}.blocks.0.mlp.fc1.weight",
        "mel": f"{_SOUND}.embeddings.position_embeddings",
        "compared": "transformer.pos_emb_cfg.pos_emb",
        "offsets": "transformer.off_head.weight",
    }
    missing = [name for name in names.values() if name not in entries]
    if missing:
        raise WeightsError(
            f"expected Synchformer as published, but {', '.join(missing)} is missing among "
            f"{len(entries)} entries: check which file this is"
        )
    shape = {what: tuple(entries[name].shape) for what, name in names.items()}
    width, _, tube_frames, patch, _ = shape["kernel"]
    num_instants = shape["instants"][1]
    columns = (shape["mel"][1] - 2) // ((num_mels - patch) // mel_stride + 1)
    return SynchformerConfig(
        width=width,
        hidden=shape["hidden"][0],
        num_layers=_count(entries, f"{_VIDEO}.blocks.{{}}.norm1.weight"),
        num_heads=num_heads or max(1, width // HEAD_WIDTH),
        patch=patch,
        picture_size=isqrt(shape["places"][1] - 1) * patch,
        segment_frames=num_instants * tube_frames,
        tube_frames=tube_frames,
        num_mels=num_mels,
        mel_frames=patch + (columns - 1) * mel_stride,
        mel_stride=mel_stride,
        num_segments=(shape["compared"][1] - 2) // (num_instants + columns),
        compare_layers=_count(entries, "transformer.blocks.{}.ln1.weight"),
        compare_heads=compare_heads or max(1, width // COMPARE_HEAD_WIDTH),
        num_offsets=shape["offsets"][0],
    )


def _count(entries: Mapping[str, Tensor], name: str) -> int:
    count = 0
    while name.format(count) in entries:
        count += 1
    return count
