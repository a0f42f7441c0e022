"""Number formats that a training step computes in."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def autocast(device: torch.device | str, precision: Precision) -> AbstractContextManager[object]:
    """Context in which "bf16" multiplies matrices in bfloat16; "fp32" leaves everything alone.

    Weights, their gradients and the optimiser's state stay float32 in both.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16")
