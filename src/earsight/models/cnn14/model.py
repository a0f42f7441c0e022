"""CNN14, the audio tagger of PANNs.

Axes: b clips, t frames, m mel bands, c channels, d features, k classes.
"""

from dataclasses import dataclass

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import InputError
from earsight.models.cnn14.config import Cnn14Config
from earsight.nn.frozen_norm import FrozenNorm


@dataclass(frozen=True, slots=True)
class Cnn14Output:
    """Features after the last rectifier, and class scores before the sigmoid."""

    features: Float[Tensor, "b d"]
    logits: Float[Tensor, "b k"]


class ConvBlock(nn.Module):
    """Two 3x3 convolutions without bias, each normalised and rectified."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.norm1 = FrozenNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = FrozenNorm(channels)

    def forward(self, x: Float[Tensor, "b c t m"]) -> Float[Tensor, "b c2 t m"]:
        """Activations before the pooling."""
        x = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(x)))


class Cnn14(nn.Module):
    """Sound tagger on `frontends.cnn14_mel.log_mel`, with stored statistics in every mode.

    Source: Kong et al., "PANNs: large-scale pretrained audio neural networks", 2020, sec. III.
    """

    def __init__(self, config: Cnn14Config) -> None:
        super().__init__()
        self.config = config
        self.band_norm = FrozenNorm(config.num_mels)
        before = (1, *config.widths[:-1])
        self.blocks = nn.ModuleList(map(ConvBlock, before, config.widths))
        self.hidden = nn.Linear(config.widths[-1], config.widths[-1])
        self.head = nn.Linear(config.widths[-1], config.num_classes)

    def forward(self, mel: Float[Tensor, "b t m"]) -> Cnn14Output:
        """Features and class scores; InputError for spectrograms that vanish in the poolings."""
        _, num_frames, num_mels = mel.shape
        if num_mels != self.config.num_mels or num_frames < self.config.pooling:
            raise InputError(
                f"expected {self.config.num_mels} bands and at least {self.config.pooling} frames, "
                f"got {num_mels} and {num_frames}: use a longer sound"
            )
        x = self.band_norm(rearrange(mel, "b t m -> b m t 1"))
        x = rearrange(x, "b m t 1 -> b 1 t m")
        for index, block in enumerate(self.blocks):
            x = functional.avg_pool2d(x, 2) if index else x
            x = block(x)
        x = x.mean(dim=3)  # (b, c, t)
        x = x.amax(dim=2) + x.mean(dim=2)
        features = functional.relu(self.hidden(x))
        return Cnn14Output(features=features, logits=self.head(features))
