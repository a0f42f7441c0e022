"""Entry names of the official vocoder files, and their sizes read off the entries."""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap
from earsight.errors import WeightsError
from earsight.models.melgan.config import DiscriminatorConfig, MelGANConfig

_MEL_INPUT = "model.1.weight_v"
_FIRST_LAYER = "model.disc_0.model.layer_0.1.bias"
_STRIDED_LAYER = "model.disc_0.model.layer_1.0.weight_v"


def generator_keys(config: MelGANConfig) -> KeyMap:
    """Official entry names of a generator (old weight-norm names) to ours.

    The official network is one flat sequence, whose numbers follow from the sizes.
    """
    keys: dict[str, str] = {}
    keys.update(_convolution("model.1", "conv_in"))
    position = 2
    for stage in range(len(config.ratios)):
        own = f"stages.{stage}"
        keys.update(_convolution(f"model.{position + 1}", f"{own}.upsample"))
        for layer in range(config.num_residual_layers):
            official = f"model.{position + 2 + layer}"
            for part in ("shortcut", "block.2", "block.4"):
                keys.update(_convolution(f"{official}.{part}", f"{own}.blocks.{layer}.{part}"))
        position += 2 + config.num_residual_layers
    keys.update(_convolution(f"model.{position + 2}", "conv_out"))
    return keys


def discriminator_keys(config: DiscriminatorConfig) -> KeyMap:
    """Official entry names of a multi-scale discriminator to ours."""
    keys: dict[str, str] = {}
    last = config.num_layers + 2
    for scale in range(config.num_scales):
        for layer in range(last + 1):
            # the first layer holds its padding at 0, the last one is a bare convolution
            inside = {0: ".1", last: ""}.get(layer, ".0")
            keys.update(
                _convolution(
                    f"model.disc_{scale}.model.layer_{layer}{inside}",
                    f"scales.{scale}.layers.{layer}{inside}",
                )
            )
    return keys


def config_from_entries(entries: Mapping[str, Tensor]) -> MelGANConfig:
    """Sizes of an official generator read off its entries' shapes.

    Raises WeightsError when the entries are not those of a MelGAN generator.
    """
    if _MEL_INPUT not in entries or entries[_MEL_INPUT].ndim != 3:
        raise WeightsError(
            f"a MelGAN generator has an entry '{_MEL_INPUT}' of 3 axes, this file has "
            f"{len(entries)} entries without it: expected best_netG.pt or netG.pt"
        )
    position, num_residual_layers = 2, 0
    ratios: list[int] = []
    while (upsample := entries.get(f"model.{position + 1}.weight_v")) is not None:
        if upsample.ndim != 3 or upsample.shape[2] % 2:
            raise WeightsError(
                f"model.{position + 1}.weight_v is {tuple(upsample.shape)}: a transposed "
                "convolution has 3 axes and a kernel of twice its ratio"
            )
        ratios.append(upsample.shape[2] // 2)
        num_residual_layers = sum(1 for _ in _blocks(entries, position + 2))
        position += 2 + num_residual_layers
    width = entries[_MEL_INPUT].shape[0]
    return MelGANConfig(
        num_mels=entries[_MEL_INPUT].shape[1],
        channels=width >> len(ratios),
        num_residual_layers=num_residual_layers,
        ratios=tuple(ratios),
    )


def discriminator_config_from_entries(entries: Mapping[str, Tensor]) -> DiscriminatorConfig:
    """Sizes of official discriminators read off their entries' shapes.

    Raises WeightsError when the entries are not those of MelGAN's discriminators.
    """
    missing = [name for name in (_FIRST_LAYER, _STRIDED_LAYER) if name not in entries]
    if missing or entries[_STRIDED_LAYER].ndim != 3:
        raise WeightsError(
            f"MelGAN's discriminators have entries {_FIRST_LAYER} and {_STRIDED_LAYER} of 3 axes, "
            f"this file has {len(entries)} others: expected netD.pt"
        )
    layers = {int(n[1]) for n in (re.search(r"layer_(\d+)\.", name) for name in entries) if n}
    return DiscriminatorConfig(
        num_scales=len({name.split(".")[1] for name in entries}),
        channels=entries[_FIRST_LAYER].shape[0],
        num_layers=max(layers) - 2,
        factor=(entries[_STRIDED_LAYER].shape[2] - 1) // 10,
    )


def _blocks(entries: Mapping[str, Tensor], first: int) -> Iterator[int]:
    index = first
    while f"model.{index}.shortcut.weight_v" in entries:
        yield index
        index += 1


def _convolution(official: str, own: str) -> dict[str, str]:
    return {
        f"{official}.bias": f"{own}.bias",
        f"{official}.weight_g": f"{own}.parametrizations.weight.original0",
        f"{official}.weight_v": f"{own}.parametrizations.weight.original1",
    }
