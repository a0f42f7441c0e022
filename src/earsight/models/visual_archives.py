"""The weight files of the picture networks whose features SpecVQGAN is conditioned on."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor

from earsight.checkpoints.keymap import KeyMap
from earsight.checkpoints.published import PublishedPart, PublishedWeights
from earsight.models.bn_inception import published as bn_inception
from earsight.models.bn_inception.model import BNInception
from earsight.models.resnet50 import published as resnet50
from earsight.models.resnet50.model import ResNet50Features

Modality = Literal["rgb", "flow"]


def _bn_keys(modality: Modality) -> Callable[[Mapping[str, Tensor]], KeyMap]:
    def keys(entries: Mapping[str, Tensor]) -> KeyMap:
        config = bn_inception.config_from_entries(entries, modality=modality)
        return bn_inception.bn_inception_keys(config)

    return keys


def _bn_inception(modality: Modality) -> PublishedPart:
    return PublishedPart(
        name=modality,
        family="bn_inception",
        keys=_bn_keys(modality),
        config=lambda entries: bn_inception.config_from_entries(entries, modality=modality),
        build=BNInception,
    )


RESNET50 = PublishedPart(
    name="resnet50",
    family="resnet50",
    keys=resnet50.keys_from_entries,
    config=resnet50.config_from_entries,
    build=ResNet50Features,
)

RESNET50_IMAGENET = PublishedWeights(
    name="resnet50-imagenet",
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    family="resnet50",
    sha256_prefix="0676ba61",
    licence=(
        "code BSD-3-Clause (torchvision); no licence is stated for the weights, which were trained "
        "on ImageNet, whose terms are for non-commercial research"
    ),
    summary="ResNet-50, ImageNet classes, first published weights (V1) of torchvision.",
    frontend="resnet50_frames",
    parts=(RESNET50,),
    notes="by torchvision's convention the file's name carries the start of its sha256",
)
BN_INCEPTION_IMAGENET = PublishedWeights(
    name="bn-inception-imagenet",
    url="https://yjxiong.blob.core.windows.net/models/bn_inception-9f5701afb96c8044.pth",
    family="bn_inception",
    licence=(
        "no licence is stated for the file; the weights were trained on ImageNet, whose terms are "
        "for non-commercial research"
    ),
    summary="BN-Inception, ImageNet classes: colour frames as they are, flow by a changed kernel.",
    frontend="bn_inception_frames",
    parts=(_bn_inception("rgb"), _bn_inception("flow")),
    notes=(
        "no hash is published; its name may carry the start of its sha256 (9f5701afb96c8044), "
        "which could not be confirmed"
    ),
)
VISUAL = (RESNET50_IMAGENET, BN_INCEPTION_IMAGENET)
