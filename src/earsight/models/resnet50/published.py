"""Entry names of the ImageNet weights of ResNet-50, and sizes read off the entries.

Source: torchvision, `resnet50`, ImageNet1K V1; what official repository v-iashin/video_features
extracts SpecVQGAN's features with.
"""

from collections.abc import Mapping

from torch import Tensor

from earsight.checkpoints.keymap import Dropped, KeyMap, require_entries
from earsight.models.resnet50.config import ResNet50Config

_COUNT = Dropped("counts training batches; the statistics are used as stored")


def resnet50_keys(config: ResNet50Config) -> KeyMap:
    """Published entry names to ours; the classifier is dropped."""
    keys: dict[str, str | Dropped] = {
        "fc.*": Dropped("ImageNet classifier; features are taken before it"),
        "bn1.num_batches_tracked": _COUNT,
        "conv1.weight": "conv_in.weight",
        "bn1.{p}": "norm_in.{p}",
    }
    for stage in range(len(config.blocks_per_stage)):
        block, own = f"layer{stage + 1}.{{j}}", f"stages.{stage}.{{j}}"
        keys[f"{block}.{{bn}}.num_batches_tracked"] = _COUNT
        keys[f"{block}.downsample.1.num_batches_tracked"] = _COUNT
        for number in (1, 2, 3):
            keys[f"{block}.conv{number}.weight"] = f"{own}.conv{number}.weight"
            keys[f"{block}.bn{number}.{{p}}"] = f"{own}.norm{number}.{{p}}"
        keys[f"{block}.downsample.0.weight"] = f"{own}.shortcut_conv.weight"
        keys[f"{block}.downsample.1.{{p}}"] = f"{own}.shortcut_norm.{{p}}"
    return keys


def keys_from_entries(entries: Mapping[str, Tensor]) -> KeyMap:
    """Key map of the network that the entries make up."""
    return resnet50_keys(config_from_entries(entries))


def config_from_entries(entries: Mapping[str, Tensor]) -> ResNet50Config:
    """Sizes of a published network of bottlenecks read off its entries.

    Raises WeightsError when the entries are not those of one.
    """
    needed = ("conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv3.weight")
    require_entries(entries, needed, what="a ResNet of bottlenecks as torchvision stores it")
    blocks: list[int] = []
    while f"layer{len(blocks) + 1}.0.conv1.weight" in entries:
        stage = f"layer{len(blocks) + 1}"
        blocks.append(sum(f"{stage}.{block}.conv1.weight" in entries for block in range(64)))
    channels = entries["layer1.0.conv1.weight"].shape[0]
    return ResNet50Config(
        blocks_per_stage=tuple(blocks),
        channels=channels,
        expansion=entries["layer1.0.conv3.weight"].shape[0] // channels,
    )
