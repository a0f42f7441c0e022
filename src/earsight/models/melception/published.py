"""Entry names of the official Melception file, and sizes read off its entries.

Source: official repository v-iashin/SpecVQGAN, which keeps torchvision's InceptionV3 names.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap, require_entries
from earsight.models.melception.config import MelceptionConfig

# exact blocks go before the patterns that fit their names, too
UNITS = {
    "Conv2d_1a_3x3": "stem37.0",
    "Conv2d_2a_3x3": "stem37.1",
    "Conv2d_2b_3x3": "stem37.2",
    "Conv2d_3b_1x1": "stem35.0",
    "Conv2d_4a_3x3": "stem35.1",
    "Mixed_5{i}.branch1x1": "rows35.{i}.pointwise",
    "Mixed_5{i}.branch5x5_1": "rows35.{i}.five.0",
    "Mixed_5{i}.branch5x5_2": "rows35.{i}.five.1",
    "Mixed_5{i}.branch3x3dbl_1": "rows35.{i}.twice.0",
    "Mixed_5{i}.branch3x3dbl_2": "rows35.{i}.twice.1",
    "Mixed_5{i}.branch3x3dbl_3": "rows35.{i}.twice.2",
    "Mixed_5{i}.branch_pool": "rows35.{i}.pooled",
    "Mixed_6a.branch3x3": "reduce35.three",
    "Mixed_6a.branch3x3dbl_1": "reduce35.twice.0",
    "Mixed_6a.branch3x3dbl_2": "reduce35.twice.1",
    "Mixed_6a.branch3x3dbl_3": "reduce35.twice.2",
    "Mixed_6{i}.branch1x1": "rows17.{i}.pointwise",
    "Mixed_6{i}.branch7x7_1": "rows17.{i}.seven.0",
    "Mixed_6{i}.branch7x7_2": "rows17.{i}.seven.1",
    "Mixed_6{i}.branch7x7_3": "rows17.{i}.seven.2",
    "Mixed_6{i}.branch7x7dbl_1": "rows17.{i}.twice.0",
    "Mixed_6{i}.branch7x7dbl_2": "rows17.{i}.twice.1",
    "Mixed_6{i}.branch7x7dbl_3": "rows17.{i}.twice.2",
    "Mixed_6{i}.branch7x7dbl_4": "rows17.{i}.twice.3",
    "Mixed_6{i}.branch7x7dbl_5": "rows17.{i}.twice.4",
    "Mixed_6{i}.branch_pool": "rows17.{i}.pooled",
    "Mixed_7a.branch3x3_1": "reduce17.three.0",
    "Mixed_7a.branch3x3_2": "reduce17.three.1",
    "Mixed_7a.branch7x7x3_1": "reduce17.seven.0",
    "Mixed_7a.branch7x7x3_2": "reduce17.seven.1",
    "Mixed_7a.branch7x7x3_3": "reduce17.seven.2",
    "Mixed_7a.branch7x7x3_4": "reduce17.seven.3",
    "Mixed_7{i}.branch1x1": "rows8.{i}.pointwise",
    "Mixed_7{i}.branch3x3_1": "rows8.{i}.three",
    "Mixed_7{i}.branch3x3_2a": "rows8.{i}.three_ends.0",
    "Mixed_7{i}.branch3x3_2b": "rows8.{i}.three_ends.1",
    "Mixed_7{i}.branch3x3dbl_1": "rows8.{i}.twice.0",
    "Mixed_7{i}.branch3x3dbl_2": "rows8.{i}.twice.1",
    "Mixed_7{i}.branch3x3dbl_3a": "rows8.{i}.twice_ends.0",
    "Mixed_7{i}.branch3x3dbl_3b": "rows8.{i}.twice_ends.1",
    "Mixed_7{i}.branch_pool": "rows8.{i}.pooled",
    "AuxLogits.conv0": "auxiliary.0.reduce",
    "AuxLogits.conv1": "auxiliary.0.wide",
}
HEADS = {"fc.{p}": "head.{p}", "AuxLogits.fc.{p}": "auxiliary.0.head.{p}"}
KEYS: KeyMap = {
    **{f"{name}.conv.{{p}}": f"{own}.conv.{{p}}" for name, own in UNITS.items()},
    **{f"{name}.bn.{{p}}": f"{own}.norm.{{p}}" for name, own in UNITS.items()},
    **HEADS,
}


def config_from_entries(entries: Mapping[str, Tensor]) -> MelceptionConfig:
    """Sizes of an official classifier read off its entries' shapes.

    Raises WeightsError when the entries are not those of the classifier.
    """
    needed = ("Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch_pool.conv.weight", "fc.weight")
    require_entries(entries, needed, what="a Melception classifier")
    num_classes, width = entries["fc.weight"].shape
    return MelceptionConfig(
        unit=width // 128,
        num_classes=num_classes,
        auxiliary=any(name.startswith("AuxLogits.") for name in entries),
    )
