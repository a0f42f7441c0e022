"""Dense optical flow between two grey frames, and the bytes it was stored as.

OpenCV's dual TV-L1 with its default parameters, as the published script calls it. The paper's own
features came from a GPU tool with the same limits, so the numbers agree in kind only.
Source: Zach, Pock, Bischof, 2007; official repository PeihaoChen/regnet.

Axes: h, w picture; the last axis is (right, down) in pixels.
"""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.errors import InputError
from earsight.extras import require

FLOW_BOUND_PIXELS = 20.0


class TVL1Flow:
    """Flow solver with OpenCV's defaults; one is enough for a whole video.

    Raises MissingExtraError without OpenCV's contributed modules.
    """

    def __init__(self) -> None:
        cv2: Any = require("cv2", extra="flow", purpose="optical flow")
        require("cv2.optflow", extra="flow", purpose="optical flow")
        self._solver = cv2.optflow.DualTVL1OpticalFlow_create()

    def __call__(
        self, earlier: UInt8[Tensor, "h w"], later: UInt8[Tensor, "h2 w2"]
    ) -> Float[Tensor, "h w 2"]:
        """Where each pixel of `earlier` went. Raises InputError for frames of unlike sizes."""
        if earlier.shape != later.shape:
            raise InputError(
                f"frames of {tuple(earlier.shape)} and {tuple(later.shape)} pixels: "
                "flow needs two of one size"
            )
        flow = self._solver.calc(earlier.contiguous().numpy(), later.contiguous().numpy(), None)
        return torch.as_tensor(flow)


def flow_levels(flow: Float[Tensor, "*h"]) -> Float[Tensor, "*h"]:
    """Flow cut to 20 pixels either way and spread over 0 to 255; no flow is 127.5."""
    bound = FLOW_BOUND_PIXELS
    return (flow.clamp(-bound, bound) + bound) * 255 / (2 * bound)


def flow_bytes(flow: Float[Tensor, "*h"]) -> UInt8[Tensor, "*h"]:
    """Flow as the published pictures hold it, rounded half to even: no flow is 128."""
    return flow_levels(flow).round().to(torch.uint8)
