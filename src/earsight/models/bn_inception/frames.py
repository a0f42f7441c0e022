"""Features of a video's frames and flow, in batches, as a stream.

Axes: a, b picture, d features.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.bn_inception_frames import NetworkInputs, both_inputs, colour_inputs
from earsight.models.bn_inception.model import BNInception


@torch.inference_mode()
def colour_features(
    network: BNInception, frames: Iterable[UInt8[Tensor, "a b 3"]], *, batch_size: int = 8
) -> Iterator[Float[Tensor, " d"]]:
    """1024 features of every frame but the first, without flow."""
    waiting: list[Tensor] = []
    for made in colour_inputs(frames):
        waiting.append(made)
        if len(waiting) == batch_size:
            yield from _run(network, waiting)
            waiting = []
    if waiting:
        yield from _run(network, waiting)


@torch.inference_mode()
def frame_features(
    colour: BNInception,
    flow: BNInception,
    frames: Iterable[UInt8[Tensor, "a b 3"]],
    *,
    batch_size: int = 8,
) -> Iterator[Float[Tensor, " d"]]:
    """2048 features of every frame but the first: 1024 of colour, then 1024 of flow.

    Raises InputError where the two networks are exchanged.
    """
    if (colour.config.modality, flow.config.modality) != ("rgb", "flow"):
        raise InputError(
            f"networks for {colour.config.modality} and {flow.config.modality} were given: "
            "the first must be for rgb, the second for flow"
        )
    waiting: list[NetworkInputs] = []
    for made in both_inputs(frames):
        waiting.append(made)
        if len(waiting) == batch_size:
            yield from _run_both(colour, flow, waiting)
            waiting = []
    if waiting:
        yield from _run_both(colour, flow, waiting)


def _run_both(
    colour: BNInception, flow: BNInception, inputs: list[NetworkInputs]
) -> Float[Tensor, "n d"]:
    rows = _run(colour, [each.colour for each in inputs])
    return torch.cat([rows, _run(flow, [each.flow for each in inputs])], dim=1)


def _run(network: BNInception, inputs: list[Tensor]) -> Float[Tensor, "n d"]:
    device = network.conv1.conv.weight.device
    return network(torch.stack(inputs).to(device)).cpu()
