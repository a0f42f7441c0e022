"""Official SpecVQGAN settings, by their official names, as our configs."""

from collections.abc import Mapping
from typing import Any

from earsight.errors import InputError
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.discriminator import PatchDiscriminatorConfig
from earsight.models.mel_vqgan.perceptual import LPAPSConfig
from earsight.models.token_gpt.config import ConditionKind, TokenGPTConfig
from earsight.models.vggishish.config import VGGishishConfig
from earsight.parity.runners import must_be

Shapes = Mapping[str, Any]


def codebook_config(official: Mapping[str, Any], *, num_mels: int) -> MelVQGANConfig:
    """Sizes of a codebook model from `ddconfig`, `embed_dim` and `n_embed`.

    The official network attends where the halved `resolution` is listed; a listed size that no
    level has is ignored there, and is left out here.
    """
    sizes: Mapping[str, Any] = official["ddconfig"]
    must_be(sizes, double_z=False, in_channels=1, out_ch=1, resamp_with_conv=True)
    must_be(official, beta=0.25)
    levels = len(sizes["ch_mult"])
    lowest = int(sizes["resolution"]) >> (levels - 1)
    attended = [
        level
        for level in range(levels)
        if int(sizes["resolution"]) >> level in sizes["attn_resolutions"]
    ]
    num_frames = lowest << (levels - 1)
    return MelVQGANConfig(
        num_mels=num_mels,
        num_frames=num_frames,
        channels=sizes["ch"],
        channel_multipliers=tuple(sizes["ch_mult"]),
        blocks_per_level=sizes["num_res_blocks"],
        latent_channels=sizes["z_channels"],
        code_dim=official["embed_dim"],
        num_codes=official["n_embed"],
        attention_resolutions=tuple(num_frames >> level for level in attended),
        dropout=sizes.get("dropout", 0.0),
    )


def perceptual_config(keys: Shapes, *, num_mels: int) -> LPAPSConfig:
    """Sizes of LPAPS read off its entries: net.sliceN.M.weight."""
    found: dict[int, list[int]] = {}
    for name, shape in keys.items():
        parts = name.split(".")
        if parts[0] == "net" and parts[-1] == "weight":
            found.setdefault(int(parts[1].removeprefix("slice")), []).append(shape[0])
    slices = [found[index] for index in sorted(found)]
    return LPAPSConfig(
        num_mels=num_mels,
        widths=tuple(widths[0] for widths in slices),
        convs_per_slice=tuple(len(widths) for widths in slices),
    )


def discriminator_config(official: Mapping[str, Any]) -> PatchDiscriminatorConfig:
    """Sizes of the patch discriminator; norm constants, slope and input are fixed here."""
    must_be(official, input_nc=1, batchnorm_eps=1e-5, batchnorm_momentum=0.1, leaky_slope=0.2)
    return PatchDiscriminatorConfig(channels=official["ndf"], num_layers=official["n_layers"])


def judge_config(keys: Shapes) -> PatchDiscriminatorConfig:
    """Sizes of the patch discriminator read off its entries."""
    convolutions = [
        shape for name, shape in keys.items() if name.endswith(".weight") and len(shape) == 4
    ]
    return PatchDiscriminatorConfig(
        channels=keys["main.0.weight"][0], num_layers=len(convolutions) - 2
    )


def classifier_config(official: Mapping[str, Any], keys: Shapes) -> VGGishishConfig:
    """Sizes of VGGish-ish from `conv_layers` ("MP" is a pooling), `pool` and `num_classes`."""
    must_be(official, use_bn=False)
    levels: list[list[int]] = [[]]
    for layer in official["conv_layers"]:
        if layer == "MP":
            levels.append([])
        else:
            levels[-1].append(int(layer))
    rows, columns = official["pool"]
    return VGGishishConfig(
        levels=tuple(map(tuple, levels)),
        pooled_shape=(rows, columns),
        hidden=keys["classifier.0.weight"][0],
        num_classes=official["num_classes"],
    )


def condition_kind(keys: Shapes) -> ConditionKind:
    """What a transformer is conditioned on, read off its entries.

    Raises InputError for an embedder other than a 1-tap convolution or an embedding table.
    """
    if "feat_embedder.weight" in keys and "cls_embedder.weight" in keys:
        return "features+class"
    axes = len(keys.get("embedder.weight", ()))
    if axes == 3 and keys["embedder.weight"][2] == 1:
        return "features"
    if axes == 2 and "embedder.bias" not in keys:
        return "class"
    names = [name for name in keys if "embedder" in name]
    raise InputError(f"no code transformer here has a condition embedder with {names}")


def transformer_config(
    official: Mapping[str, Any], keys: Shapes, *, grid: tuple[int, int]
) -> TokenGPTConfig:
    """Sizes of the code transformer from `GPT_config` and its entries, for a (rows, columns) grid.

    Dropouts of the official configs are all 0, and are off in every case.
    """
    must_be(official, n_unmasked=0)
    condition = condition_kind(keys)
    features = keys.get("feat_embedder.weight") or keys["embedder.weight"]
    classes = keys.get("cls_embedder.weight") or keys["embedder.weight"]
    return TokenGPTConfig(
        num_codes=official["vocab_size"],
        num_positions=official["block_size"],
        width=official["n_embd"],
        num_layers=official["n_layer"],
        num_heads=official["n_head"],
        grid_rows=grid[0],
        grid_columns=grid[1],
        condition=condition,
        feature_width=features[1] if condition != "class" else 1,
        num_classes=classes[0] if condition != "features" else 1,
    )
