"""Entry names of the published BN-Inception, for colour and for flow.

Source: official repository yjxiong/tsn-pytorch; what PeihaoChen/regnet extracts features with.
The published file is trained on ImageNet colour pictures; the flow network is the same file with
its first kernel changed, nothing was trained on flow.
"""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, Moved, require_entries
from earsight.models.bn_inception.config import BNInceptionConfig

FLOW_CHANNELS = 2
_CLASSIFIER = Dropped("ImageNet classifier; features are taken before it")
_COUNT = Dropped("counts training batches; the statistics are used as stored")
_FIRST = "conv1_7x7_s2"
# `double` goes first: the plain 3x3 patterns fit its names too
UNITS = {
    _FIRST: "conv1",
    "conv2_3x3_reduce": "conv2_reduce",
    "conv2_3x3": "conv2",
    "inception_{b}_double_3x3_reduce": "blocks.{b}.long.0",
    "inception_{b}_double_3x3_1": "blocks.{b}.long.1",
    "inception_{b}_double_3x3_2": "blocks.{b}.long.2",
    "inception_{b}_3x3_reduce": "blocks.{b}.short.0",
    "inception_{b}_3x3": "blocks.{b}.short.1",
    "inception_{b}_1x1": "blocks.{b}.pointwise.0",
    "inception_{b}_pool_proj": "blocks.{b}.projection.0",
}


def flat_norm(entry: Tensor) -> Tensor:
    """Entries of a norm as one axis: the oldest file stores them as (1, channels)."""
    return entry.reshape(-1)


def flow_kernel(kernel: Tensor) -> Tensor:
    """First kernel for flow: the mean over the input channels, once for each flow direction.

    A kernel that is one already stays as it is.
    """
    if kernel.shape[1] == FLOW_CHANNELS:
        return kernel
    return kernel.mean(dim=1, keepdim=True).repeat(1, FLOW_CHANNELS, 1, 1)


def published_modules(config: BNInceptionConfig) -> dict[str, str]:
    """Published names of the convolutions and poolings, and the modules of ours that they are.

    The norm of a convolution is named as it is with `_bn` behind.
    """
    modules = {"pool1_3x3_s2": "pool1", "pool2_3x3_s2": "pool2"}
    for name, own in UNITS.items():
        if "{b}" not in name:
            modules[name] = f"{own}.conv"
    for block in config.blocks:
        absent = {"pointwise": block.pointwise is None, "projection": block.projection is None}
        modules[f"inception_{block.name}_pool"] = f"blocks.{block.name}.pool"
        for name, own in UNITS.items():
            if "{b}" in name and not absent.get(own.split(".")[2]):
                filled = own.replace("{b}", block.name)
                modules[name.replace("{b}", block.name)] = f"{filled}.conv"
    return modules


def bn_inception_keys(config: BNInceptionConfig) -> KeyMap:
    """Published entry names to ours; the classifiers of both known files are dropped."""
    keys: dict[str, str | Dropped | Moved] = {"fc.*": _CLASSIFIER, "last_linear.*": _CLASSIFIER}
    if config.modality == "flow":
        keys[f"{_FIRST}.weight"] = Moved("conv1.conv.weight", flow_kernel, _as_it_is)
    for name, own in UNITS.items():
        keys[f"{name}_bn.num_batches_tracked"] = _COUNT
        keys[f"{name}_bn.{{p}}"] = Moved(f"{own}.norm.{{p}}", flat_norm, _as_it_is)
        keys[f"{name}.{{p}}"] = f"{own}.conv.{{p}}"
    return keys


def config_from_entries(
    entries: Mapping[str, Tensor], *, modality: Literal["rgb", "flow"] = "rgb"
) -> BNInceptionConfig:
    """Sizes of the published network, which comes in one size; `modality` is not in the file.

    Raises WeightsError when the entries are not those of BN-Inception.
    """
    needed = (f"{_FIRST}.weight", "inception_3a_1x1.weight", "inception_5b_pool_proj.weight")
    require_entries(entries, needed, what="BN-Inception as published")
    return BNInceptionConfig(modality=modality)


def _as_it_is(entry: Tensor) -> Tensor:
    return entry
