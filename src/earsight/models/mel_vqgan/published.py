"""Entry names of the official codebook checkpoints, and sizes read off their entries.

Source: official repository v-iashin/SpecVQGAN.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, require_entries
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.discriminator import PatchDiscriminatorConfig
from earsight.models.mel_vqgan.perceptual import LPAPSConfig

PERCEPTUAL_PREFIX = "loss.perceptual_loss."
DISCRIMINATOR_PREFIX = "loss.discriminator."
PUBLISHED_NUM_FRAMES = 848

_BLOCK = {
    "norm1.{p}": "norm_in.{p}",
    "conv1.{p}": "conv_in.{p}",
    "norm2.{p}": "norm_out.{p}",
    "conv2.{p}": "conv_out.{p}",
    "nin_shortcut.{p}": "shortcut.{p}",
}
_ATTENTION = {
    "norm.{p}": "norm.{p}",
    "q.{p}": "query.{p}",
    "k.{p}": "key.{p}",
    "v.{p}": "value.{p}",
    "proj_out.{p}": "projection.{p}",
}


def _under(official: str, own: str, names: Mapping[str, str]) -> dict[str, str]:
    return {f"{official}.{name}": f"{own}.{target}" for name, target in names.items()}


def _stack(network: str, levels: str, resample: str) -> dict[str, str]:
    """Names of an encoder or decoder whose levels lie under `levels`."""
    official, own = f"{network}.{levels}.{{i}}", f"{network}.stages.{{i}}"
    return {
        **_under(network, network, {f"{n}.{{p}}": f"{n}.{{p}}" for n in ("conv_in", "conv_out")}),
        f"{network}.norm_out.{{p}}": f"{network}.norm_out.{{p}}",
        **_under(f"{official}.block.{{j}}", f"{own}.blocks.{{j}}", _BLOCK),
        **_under(f"{official}.attn.{{j}}", f"{own}.attentions.{{j}}", _ATTENTION),
        f"{official}.{resample}.conv.{{p}}": f"{own}.resample.conv.{{p}}",
        **_under(f"{network}.mid.block_1", f"{network}.middle.block_in", _BLOCK),
        **_under(f"{network}.mid.attn_1", f"{network}.middle.attention", _ATTENTION),
        **_under(f"{network}.mid.block_2", f"{network}.middle.block_out", _BLOCK),
    }


# Without the training networks, as inside a transformer's archive under `first_stage_model.`
MODEL_KEYS: KeyMap = {
    **_stack("encoder", "down", "downsample"),
    **_stack("decoder", "up", "upsample"),
    "quantize.embedding.weight": "codebook.embedding.weight",
    "quant_conv.{p}": "to_code.{p}",
    "post_quant_conv.{p}": "from_code.{p}",
}
KEYS: KeyMap = {
    **MODEL_KEYS,
    f"{PERCEPTUAL_PREFIX}*": Dropped("perceptual distance, used in training only"),
    f"{DISCRIMINATOR_PREFIX}*": Dropped("discriminator, used in training only"),
}


def discriminator_keys(config: PatchDiscriminatorConfig, *, prefix: str = "") -> KeyMap:
    """Official names of a patch discriminator, one flat sequence; `prefix` precedes them."""
    keys = {"main.0.{p}": "convs.0.{p}"}
    for layer in range(1, config.num_layers + 1):
        keys[f"main.{3 * layer - 1}.{{p}}"] = f"convs.{layer}.{{p}}"
        keys[f"main.{3 * layer}.{{p}}"] = f"norms.{layer - 1}.{{p}}"
    keys[f"main.{3 * config.num_layers + 2}.{{p}}"] = "conv_out.{p}"
    return {prefix + name: own for name, own in keys.items()}


def perceptual_keys(config: LPAPSConfig, *, prefix: str = "") -> KeyMap:
    """Official names of the perceptual distance; its convolutions keep the numbers of a VGG-16."""
    keys = {"scaling_layer.shift": "shift", "scaling_layer.scale": "scale"}
    position = 0
    for i, num_convs in enumerate(config.convs_per_slice):
        for j in range(num_convs):
            keys[f"net.slice{i + 1}.{position}.{{p}}"] = f"slices.{i}.convs.{j}.{{p}}"
            position += 2  # a rectifier follows each
        keys[f"lin{i}.model.1.weight"] = f"weights.{i}.weight"
        position += 1  # the pooling before the next slice
    return {prefix + name: own for name, own in keys.items()}


def config_from_entries(
    entries: Mapping[str, Tensor], *, num_mels: int = 80, norm_groups: int = 32
) -> MelVQGANConfig:
    """Sizes of an official codebook model read off its entries' shapes.

    Bands and norm groups leave no trace in the shapes; every published model has 80 and 32.
    Raises WeightsError when the entries are not those of a codebook model.
    """
    needed = ("encoder.conv_in.weight", "quant_conv.weight", "quantize.embedding.weight")
    require_entries(entries, needed, what="a codebook model")
    channels = entries["encoder.conv_in.weight"].shape[0]
    widths: list[int] = []
    while (conv := entries.get(f"encoder.down.{len(widths)}.block.0.conv1.weight")) is not None:
        widths.append(conv.shape[0])
    blocks = {name.split(".")[4] for name in entries if name.startswith("encoder.down.0.block.")}
    odd = PUBLISHED_NUM_FRAMES % 2 ** (len(widths) - 1) if widths else 0
    frames = PUBLISHED_NUM_FRAMES if not odd else 53 << (len(widths) - 1)
    attention = (
        frames >> i for i in range(len(widths)) if f"encoder.down.{i}.attn.0.norm.weight" in entries
    )
    return MelVQGANConfig(
        num_mels=num_mels,
        num_frames=frames,
        channels=channels,
        channel_multipliers=tuple(width // channels for width in widths),
        blocks_per_level=len(blocks),
        latent_channels=entries["quant_conv.weight"].shape[1],
        code_dim=entries["quant_conv.weight"].shape[0],
        num_codes=entries["quantize.embedding.weight"].shape[0],
        attention_resolutions=tuple(attention),
        middle_attention="encoder.mid.attn_1.norm.weight" in entries,
        norm_groups=norm_groups,
    )
