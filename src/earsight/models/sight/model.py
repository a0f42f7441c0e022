"""A small image tower that says, frame by frame, what is seen and what it does.

Trained on rendered clips, whose truth is known: its few values per frame carry the class of what is
seen, whether it strikes now, and how loud it is. It looks at colours and at what changes from
frame to frame, and then at the frames around.

Axes: b clips, n frames, h w pixels, f features of a frame, d values of a description, k classes.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from earsight.models.sight.config import SightConfig

COLOUR_CHANNELS = 3
CHANGE_CHANNELS = 2
RARE = -2.5  # logit of a share of one in thirteen
CHANGE_GAIN = 4.0  # changes between frames are small next to colours


@dataclass(frozen=True, slots=True)
class Sight:
    """What the tower says: `description` in [-1, 1], and what can be read off it.

    `classes` are logits of each class being in the picture, `event` the logit of something
    striking in this frame, `loudness` a level in [0, 1].
    """

    description: Float[Tensor, "b n d"]
    classes: Float[Tensor, "b n k"]
    event: Float[Tensor, "b n"]
    loudness: Float[Tensor, "b n"]


class FrameBlock(nn.Module):
    """Halves the picture: convolution, norm, ReLU, and a residual convolution."""

    def __init__(self, *, channels_in: int, channels: int, norm_groups: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(norm_groups, channels)
        self.refine = nn.Conv2d(channels, channels, 3, padding=1)
        self.refine_norm = nn.GroupNorm(norm_groups, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Picture of half the size."""
        x = functional.relu(self.norm(self.shrink(x)))
        return x + functional.relu(self.refine_norm(self.refine(x)))


class TimeBlock(nn.Module):
    """Lets a frame see frames around it: a dilated convolution over time, residual."""

    def __init__(self, *, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        reach = dilation * (kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, kernel, padding=reach, dilation=dilation)
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n f"]) -> Float[Tensor, "b n f"]:
        """Features with those of the frames around mixed in; zeros stand outside the clip."""
        mixed = rearrange(self.mix(rearrange(self.norm(x), "b n f -> b f n")), "b f n -> b n f")
        return x + self.out(functional.gelu(mixed))


class SightTower(nn.Module):
    """The image tower.

    Source: none; a small convolutional network over frames and their changes.
    """

    def __init__(self, config: SightConfig) -> None:
        super().__init__()
        self.config = config
        widths = (COLOUR_CHANNELS + CHANGE_CHANNELS, *config.channels)
        self.frames = nn.ModuleList(
            FrameBlock(channels_in=a, channels=b, norm_groups=config.norm_groups)
            for a, b in pairwise(widths)
        )
        self.join = nn.Linear(2 * config.channels[-1], config.width)
        self.time = nn.ModuleList(
            TimeBlock(width=config.width, kernel=config.kernel, dilation=dilation)
            for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.width)
        self.describe = nn.Linear(config.width, config.num_values)
        self.read_classes = nn.Linear(config.num_values, config.num_classes)
        self.read_event = nn.Linear(config.num_values, 1)
        self.read_loudness = nn.Linear(config.num_values, 1)
        # most answers are no: readings that began at even chances would drive all values of the
        # bottleneck to its ends, where nothing is learned any more
        nn.init.constant_(self.read_classes.bias, RARE)
        nn.init.constant_(self.read_event.bias, RARE)

    def forward(self, pictures: UInt8[Tensor, "b n 3 h w"]) -> Sight:
        """Describe clips of small pictures, `config.picture_size` on both sides."""
        x = rearrange(with_changes(pictures), "b n c h w -> (b n) c h w")
        for block in self.frames:
            x = block(x)
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        x = self.join(rearrange(pooled, "(b n) f -> b n f", b=pictures.shape[0]))
        for block in self.time:
            x = block(x)
        description = self.describe(self.norm(x)).tanh()
        return Sight(
            description=description,
            classes=self.read_classes(description),
            event=self.read_event(description)[..., 0],
            loudness=self.read_loudness(description)[..., 0].sigmoid(),
        )


def with_changes(pictures: UInt8[Tensor, "b n 3 h w"]) -> Float[Tensor, "b n 5 h w"]:
    """Colours in [-1, 1], the change of brightness since the frame before and to the one after.

    The first frame has no frame before, the last none after: no change is assumed.
    """
    colours = pictures.float() / 127.5 - 1
    grey = colours.mean(2, keepdim=True)
    change = (grey[:, 1:] - grey[:, :-1]) * CHANGE_GAIN
    nothing = torch.zeros_like(grey[:, :1])
    before = torch.cat([nothing, change], dim=1)
    after = torch.cat([change, nothing], dim=1)
    return torch.cat([colours, before, after], dim=2)


def small_pictures(
    pictures: UInt8[Tensor, "n h w 3"], *, size: int
) -> UInt8[Tensor, "n 3 size size"]:
    """Pictures squeezed to a square by area averaging; the aspect is not kept."""
    moved = rearrange(pictures, "n h w c -> n c h w").float()
    small = functional.interpolate(moved, size=(size, size), mode="area")
    return small.round().clamp(0, 255).to(torch.uint8)
