"""ResNet-50 without its classifier: features of single frames.

Version 1.5, which the published ImageNet weights belong to: the stride sits in the 3x3
convolution, not in the 1x1 before it.

Axes: n frames, c channels, h, w picture, d features.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.models.resnet50.config import ResNet50Config
from earsight.nn.frozen_norm import FrozenNorm


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut, which is convolved where sizes change."""

    def __init__(self, channels_in: int, channels: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.norm1 = FrozenNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.norm2 = FrozenNorm(channels)
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.norm3 = FrozenNorm(channels_out)
        self.shortcut_conv = None
        self.shortcut_norm = None
        if stride != 1 or channels_in != channels_out:
            self.shortcut_conv = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut_norm = FrozenNorm(channels_out)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Activations of the next block."""
        inner = functional.relu(self.norm1(self.conv1(x)))
        inner = functional.relu(self.norm2(self.conv2(inner)))
        inner = self.norm3(self.conv3(inner))
        if self.shortcut_conv is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut_conv(x))
        return functional.relu(inner + x)


class ResNet50Features(nn.Module):
    """2048 non-negative features per frame, after the global average pooling.

    Input is `frontends.resnet50_frames.network_input`. Source: He et al., Deep Residual Learning,
    2015; stride placement of the published torchvision weights.
    """

    def __init__(self, config: ResNet50Config) -> None:
        super().__init__()
        self.config = config
        self.conv_in = nn.Conv2d(3, config.channels, 7, 2, 3, bias=False)
        self.norm_in = FrozenNorm(config.channels)
        stages: list[nn.Module] = []
        width = config.channels
        for stage, num_blocks in enumerate(config.blocks_per_stage):
            channels = config.channels * 2**stage
            blocks: list[nn.Module] = []
            for block in range(num_blocks):
                stride = 2 if stage and not block else 1
                wide = channels * config.expansion
                blocks.append(Bottleneck(width, channels, wide, stride=stride))
                width = wide
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)

    def forward(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Features of normalised frames."""
        x = functional.relu(self.norm_in(self.conv_in(frames)))
        x = functional.max_pool2d(x, 3, 2, 1)
        return self.stages(x).mean((2, 3))
