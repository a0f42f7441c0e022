"""Initial values of layers, as published networks draw them."""

from torch import nn


def initialise_rectified(conv: nn.Conv2d) -> None:
    """Kaiming normal weights by fan-out, zero bias: a convolution followed by a rectifier."""
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
