"""Entry names of the official classifier files, and sizes read off their entries.

Source: official repository v-iashin/SpecVQGAN.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap, require_entries
from earsight.models.vggishish.config import VGGishishConfig


def vggishish_keys(config: VGGishishConfig) -> KeyMap:
    """Official names to ours; a pooling and every rectifier count in the official numbers."""
    keys = {f"classifier.{2 * i}.{{p}}": f"{own}.{{p}}" for i, own in enumerate(_LINEAR)}
    position = index = 0
    for level in config.levels:
        for _ in level:
            keys[f"features.{position}.{{p}}"] = f"convs.{index}.{{p}}"
            position, index = position + 2, index + 1
        position += 1
    return keys


def config_from_entries(entries: Mapping[str, Tensor], *, pooled_rows: int = 5) -> VGGishishConfig:
    """Sizes of an official classifier read off its entries' numbers and shapes.

    Rows of the pooled grid leave no trace; the published number is 5. Raises WeightsError when
    the entries are not those of the classifier.
    """
    needed = ("features.0.weight", "classifier.0.weight", "classifier.4.weight")
    require_entries(entries, needed, what="a VGGish-ish classifier")
    numbers = sorted(
        int(name.split(".")[1])
        for name in entries
        if name.startswith("features.") and name.endswith(".weight")
    )
    levels: list[list[int]] = [[]]
    for previous, number in zip([-2, *numbers], numbers, strict=False):
        if number - previous == 3:
            levels.append([])
        levels[-1].append(entries[f"features.{number}.weight"].shape[0])
    hidden, num_pooled = entries["classifier.0.weight"].shape
    return VGGishishConfig(
        levels=tuple(tuple(level) for level in levels),
        pooled_shape=(pooled_rows, num_pooled // levels[-1][-1] // pooled_rows),
        hidden=hidden,
        num_classes=entries["classifier.4.weight"].shape[0],
    )


_LINEAR = ("hidden_in", "hidden_out", "head")
