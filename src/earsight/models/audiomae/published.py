"""Entry names of the published Audio-MAE files, sizes read off their entries, and transfer.

Source: official repository facebookresearch/AudioMAE.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from earsight.checkpoints.keymap import KeyMap, Moved, load_strict, require_entries
from earsight.errors import WeightsError
from earsight.models.audiomae.config import (
    AudioTaggerConfig,
    DecoderBlock,
    DecoderConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
)
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.audiomae.patches import positions_for
from earsight.nn.deit_layout import BLOCK_NAMES, HEAD_WIDTH

DECODER_HEAD_WIDTH = 32  # of every published decoder
OVERLAP_STRIDE = 10
WINDOW_NAMES: Mapping[str, str] = {
    "attn.qkv": "qkv",
    "attn.proj": "project",
    "attn.meta_mlp.fc1": "distances.grow",
    "attn.meta_mlp.fc2": "distances.shrink",
    "norm1": "norm_attention",
    "norm2": "norm_feedforward",
    "mlp.fc1": "feedforward.grow",
    "mlp.fc2": "feedforward.shrink",
}


def _flat(kernel: Tensor) -> Tensor:
    """A convolution that cuts patches as a matrix: a row an output, time before bands."""
    return kernel.flatten(1)


def _kernel(matrix: Tensor) -> Tensor:
    side = math.isqrt(matrix.shape[1])
    return matrix.reshape(len(matrix), 1, side, side)


ENCODER_KEYS: KeyMap = {
    "cls_token": "encoder.class_token",
    "pos_embed": "encoder.positions",
    "patch_embed.proj.weight": Moved("encoder.patches.weight", _flat, _kernel),
    "patch_embed.proj.bias": "encoder.patches.bias",
    **{
        f"blocks.{{i}}.{theirs}.{{p}}": f"encoder.blocks.{{i}}.{own}.{{p}}"
        for theirs, own in BLOCK_NAMES.items()
    },
}
TAGGER_KEYS: KeyMap = {**ENCODER_KEYS, "fc_norm.{p}": "norm.{p}", "head.{p}": "head.{p}"}


def autoencoder_keys(config: DecoderConfig) -> KeyMap:
    """Names of a pre-training file, whose decoder blocks are of two kinds under one name."""
    blocks: dict[str, str] = {}
    for index, kind in enumerate(config.blocks):
        theirs, own = f"decoder_blocks.{index}", f"decoder.blocks.{index}"
        names = BLOCK_NAMES if kind == "global" else WINDOW_NAMES
        blocks |= {f"{theirs}.{a}.{{p}}": f"{own}.{b}.{{p}}" for a, b in names.items()}
        if kind != "global":
            blocks[f"{theirs}.attn.tau"] = f"{own}.temperature"
    return {
        **ENCODER_KEYS,
        "norm.{p}": "norm.{p}",
        "decoder_embed.{p}": "decoder.embed.{p}",
        "mask_token": "decoder.mask_token",
        "decoder_pos_embed": "decoder.positions",
        "decoder_norm.{p}": "decoder.norm.{p}",
        "decoder_pred.{p}": "decoder.predict.{p}",
        **blocks,
    }


def keys_from_entries(entries: Mapping[str, Tensor]) -> KeyMap:
    """The names of the pre-training file with these entries."""
    return autoencoder_keys(decoder_from_entries(entries))


def encoder_from_entries(
    entries: Mapping[str, Tensor], *, num_mels: int = 128, stride: int | None = None
) -> EncoderConfig:
    """Sizes of an encoder read off its entries' names and shapes.

    Heads are 64 wide, as all published ones. Without `stride` patches lie side by side where the
    position table has a row for every token of whole columns, else every 10. Raises WeightsError
    when the entries are not those of Audio-MAE.
    """
    require_entries(
        entries,
        ("cls_token", "pos_embed", "patch_embed.proj.weight"),
        what="Audio-MAE as published",
    )
    kernel, table = entries["patch_embed.proj.weight"], entries["pos_embed"]
    if kernel.ndim != 4 or kernel.shape[2] != kernel.shape[3] or table.ndim != 3:
        raise WeightsError(
            f"expected a square kernel of 4 axes and a position table of 3, got "
            f"{tuple(kernel.shape)} and {tuple(table.shape)}"
        )
    width, patch, num_tokens = kernel.shape[0], kernel.shape[2], table.shape[1] - 1
    if stride is None:
        stride = OVERLAP_STRIDE if num_tokens % (num_mels // patch) else patch
    rows = (num_mels - patch) // stride + 1
    if num_tokens < 1 or num_tokens % rows:
        raise WeightsError(
            f"position table has {num_tokens} tokens, no multiple of the {rows} patches over "
            f"{num_mels} bands: check which file this is"
        )
    num_layers = 0
    while f"blocks.{num_layers}.norm1.weight" in entries:
        num_layers += 1
    hidden = entries.get("blocks.0.mlp.fc1.weight")
    return EncoderConfig(
        num_frames=patch + (num_tokens // rows - 1) * stride,
        num_mels=num_mels,
        patch=patch,
        stride=stride,
        width=width,
        num_layers=num_layers,
        num_heads=max(1, width // HEAD_WIDTH),
        hidden=4 * width if hidden is None else hidden.shape[0],
    )


def decoder_from_entries(entries: Mapping[str, Tensor]) -> DecoderConfig:
    """Sizes of a decoder read off its entries' names and shapes.

    What no entry tells is as published: windows of 4 x 4 tokens, moved in every second block. A
    decoder of global blocks alone keeps the class token.
    """
    what = "a pre-training file of Audio-MAE with its decoder"
    require_entries(entries, ("decoder_embed.weight", "decoder_pred.weight"), what=what)
    width = entries["decoder_embed.weight"].shape[0]
    blocks: list[DecoderBlock] = []
    window_heads = distance_hidden = 0
    while f"decoder_blocks.{len(blocks)}.norm1.weight" in entries:
        inside = f"decoder_blocks.{len(blocks)}."
        if f"{inside}attn.tau" in entries:
            window_heads = entries[f"{inside}attn.tau"].shape[0]
            grow = entries.get(f"{inside}attn.meta_mlp.fc1.weight")
            distance_hidden = 0 if grow is None else grow.shape[0]
            blocks.append("shifted_window" if len(blocks) % 2 else "window")
        else:
            blocks.append("global")
    hidden = entries.get("decoder_blocks.0.mlp.fc1.weight")
    heads = max(1, width // DECODER_HEAD_WIDTH)
    published = DecoderConfig(
        blocks=tuple(blocks),
        width=width,
        num_heads=heads,
        window_heads=window_heads or heads,
        hidden=4 * width if hidden is None else hidden.shape[0],
        keeps_class_token="window" not in blocks,
    )
    return replace(published, distance_hidden=distance_hidden) if distance_hidden else published


def autoencoder_from_entries(entries: Mapping[str, Tensor]) -> MaskedAutoencoderConfig:
    """Sizes of a published pre-training file."""
    encoder, decoder = encoder_from_entries(entries), decoder_from_entries(entries)
    if encoder.stride < encoder.patch:
        decoder = replace(decoder, window=(6, 6))
    return MaskedAutoencoderConfig(encoder=encoder, decoder=decoder)


def tagger_from_entries(entries: Mapping[str, Tensor]) -> AudioTaggerConfig:
    """Sizes of a published fine-tuned file."""
    require_entries(entries, ("head.weight",), what="a fine-tuned file of Audio-MAE")
    return AudioTaggerConfig(
        encoder=encoder_from_entries(entries), num_classes=entries["head.weight"].shape[0]
    )


def carry_encoder(start: MaskedAutoencoder | AudioTagger, tagger: AudioTagger) -> None:
    """Give a tagger the encoder of another network; its norm and head stay as they are.

    Exactly the encoder is taken, all of it, whatever length the clips have: a token keeps the
    position code it was trained with, so a shorter table is the first rows of the longer one.
    Make the tagger with `EncoderConfig.tokens_per_row` of the start (`carried_encoder`). Raises
    WeightsError for encoders of other sizes.
    """
    theirs, own = start.config.encoder, tagger.config.encoder
    if theirs.row_of_positions != own.row_of_positions:
        raise WeightsError(
            f"the tagger's positions have rows of {own.row_of_positions} tokens, those of the "
            f"weights {theirs.row_of_positions}: build it with "
            f"tokens_per_row={theirs.row_of_positions}"
        )
    entries = dict(start.encoder.state_dict())
    entries["positions"] = positions_for(
        entries["positions"],
        num_tokens=math.prod(own.grid),
        tokens_per_row=own.row_of_positions,
    )
    with torch.no_grad():
        load_strict(tagger.encoder, entries)


def carried_encoder(config: EncoderConfig, *, num_frames: int) -> EncoderConfig:
    """Sizes of the same encoder for clips of another length, position codes as they were trained.

    The paper's shorter clips have codes of their own (`tokens_per_row=None`), which an encoder
    pre-trained at another length has never seen.
    """
    return replace(config, num_frames=num_frames, tokens_per_row=config.row_of_positions)
