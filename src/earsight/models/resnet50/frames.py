"""Features of a video's frames, in batches, as a stream.

Axes: a, b picture, d features.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.frontends.resnet50_frames import network_input
from earsight.models.resnet50.model import ResNet50Features


@torch.inference_mode()
def frame_features(
    network: ResNet50Features, frames: Iterable[UInt8[Tensor, "a b 3"]], *, batch_size: int = 8
) -> Iterator[Float[Tensor, " d"]]:
    """One row per upright RGB frame; memory does not grow with the number of frames."""
    device = network.conv_in.weight.device
    waiting: list[Float[Tensor, "3 c c"]] = []
    for pixels in frames:
        waiting.append(network_input(pixels))
        if len(waiting) == batch_size:
            yield from network(torch.stack(waiting).to(device)).cpu()
            waiting = []
    if waiting:
        yield from network(torch.stack(waiting).to(device)).cpu()
