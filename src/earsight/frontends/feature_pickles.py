"""Feature files as the official extraction tools write them: one pickled NumPy array per clip.

Nothing in such a file is executed. Source: official repositories v-iashin/SpecVQGAN and
v-iashin/video_features (branch specvqgan).

Axes: n frames, d channels.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from earsight.checkpoints.restricted_pickle import read_array_pickle
from earsight.errors import InputError
from earsight.frontends.visual_features import join_streams

RESNET50_WIDTH = 2048
BN_INCEPTION_WIDTH = 1024


def read_features(path: Path, *, width: int) -> Float[Tensor, "n d"]:
    """Rows of features, float32: 2048 wide from ResNet-50, 1024 from a BN-Inception stream.

    Raises InputError for another shape or values that are not finite, and the errors of
    `read_array_pickle` for a file that holds anything but an array.
    """
    array = read_array_pickle(path)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != width:
        raise InputError(
            f"{path}: expected rows of {width} features, found an array of shape {array.shape}: "
            "check which network wrote the file"
        )
    if array.dtype.kind != "f":
        raise InputError(f"{path}: expected real numbers, found {array.dtype}")
    features = torch.tensor(array).float()
    if not bool(features.isfinite().all()):
        raise InputError(f"{path}: features are not all finite: extract them again")
    return features


def read_bn_inception(rgb: Path, flow: Path) -> Float[Tensor, "n d"]:
    """Colour and flow files of one clip side by side, 2048 wide.

    Raises InputError where they have different numbers of rows.
    """
    streams = (read_features(path, width=BN_INCEPTION_WIDTH) for path in (rgb, flow))
    return join_streams(*streams)
