"""The weight files of the picture networks whose features SpecVQGAN is conditioned on."""

from earsight.checkpoints.published import PublishedWeights

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
    notes=(
        "no hash is published; its name may carry the start of its sha256 (9f5701afb96c8044), "
        "which could not be confirmed"
    ),
)
VISUAL = (RESNET50_IMAGENET, BN_INCEPTION_IMAGENET)
