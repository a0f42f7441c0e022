"""AST that starts from other weights: an image network, or an AST of another input size.

Sources: Gong et al., "AST: audio spectrogram transformer", 2021, sec. 2.2; official repository
YuanGongND/ast.   Axes: d width, c channels, y and x patch size.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, translate
from earsight.errors import ConfigError, WeightsError
from earsight.models.ast.config import AstConfig
from earsight.models.ast.model import Ast
from earsight.nn.deit_layout import NAMES, sizes_of
from earsight.nn.position_tables import Grid, cut_or_stretched_table
from earsight.nn.two_token_transformer import NUM_CLASS_TOKENS
from earsight.training.warm_start import warm_start

HEAD = ("head_norm", "head")
_CLASSIFIER = Dropped("classifier of pictures")
IMAGE_KEYS: KeyMap = {
    **{theirs: f"encoder.{own}" for theirs, own in NAMES.items()},
    "head.{p}": _CLASSIFIER,
    "head_dist.{p}": _CLASSIFIER,
}


def from_image(config: AstConfig, entries: Mapping[str, Tensor]) -> Ast:
    """A new AST whose encoder is that of a distilled DeiT, its classifier as layers begin.

    `entries` are those of the published file, under `model` there. The kernel is the sum over the
    colours; positions are cut out of the picture's square grid, or stretched. Raises WeightsError
    for entries of another network and ConfigError for a config of another size.
    """
    sizes = sizes_of(entries)
    side = isqrt(max(sizes.num_patches, 0))
    if side * side != sizes.num_patches:
        raise WeightsError(
            f"expected positions of a square picture, got {sizes.num_patches} patches"
        )
    _check_same(config, patch=sizes.patch, width=sizes.width, num_layers=sizes.num_layers)
    found = translate(entries, IMAGE_KEYS).entries
    kernel = "encoder.patches.weight"
    return _started(config, {**found, kernel: over_colours(found[kernel])}, (side, side))


def over_colours(kernel: Float[Tensor, "d c y x"]) -> Float[Tensor, "d 1 y x"]:
    """A kernel for one channel that answers a grey picture as the given one does."""
    return kernel.sum(dim=1, keepdim=True)


def carried_over(network: Ast, config: AstConfig, *, keep_head: bool = False) -> Ast:
    """A new AST for another input size, number of classes or strides, with the old one's encoder.

    Positions are cut from the middle or stretched; official code does so from the AudioSet network
    of 10 s alone. `keep_head` takes the classifier along. Raises ConfigError where patch, width or
    number of layers differ, and WeightsError for a kept classifier of other classes.
    """
    old = network.config
    _check_same(config, patch=old.patch, width=old.width, num_layers=old.num_layers)
    entries = {
        name: tensor.detach()
        for name, tensor in network.state_dict().items()
        if keep_head or not name.startswith(HEAD)
    }
    return _started(config, entries, old.grid, keep_head=keep_head)


def for_frames(network: Ast, num_frames: int) -> Ast:
    """The same tagger for clips of another length; raises as `carried_over` does."""
    return carried_over(network, replace(network.config, num_frames=num_frames), keep_head=True)


def _check_same(config: AstConfig, *, patch: Grid, width: int, num_layers: int) -> None:
    given, wanted = (patch, width, num_layers), (config.patch, config.width, config.num_layers)
    if given != wanted:
        raise ConfigError(
            f"AST: the weights have patch {given[0]}, width {given[1]}, {given[2]} layers, the "
            f"config patch {wanted[0]}, width {wanted[1]}, {wanted[2]} layers: choose the config "
            "of the weights' size"
        )


def _started(
    config: AstConfig, entries: Mapping[str, Tensor], grid: Grid, *, keep_head: bool = False
) -> Ast:
    network, table = Ast(config), "encoder.positions"
    positions = cut_or_stretched_table(
        entries[table], grid=grid, size=config.grid, num_class_tokens=NUM_CLASS_TOKENS
    )
    warm_start(network, {**entries, table: positions}, fresh=() if keep_head else HEAD)
    return network
