"""VGG-16 without batch norm and dropout, for log-mel spectrograms.

Axes: b clips, m mel bands, t frames, c channels, n classes, d features.
"""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from earsight.errors import InputError
from earsight.models.vggishish.config import VGGishishConfig
from earsight.nn.initial import initialise_rectified

LINEAR_STD = 0.01


class VGGishish(nn.Module):
    """Sound classifier on standardised log-mel spectrograms.

    Inputs are the [0, 1] spectrograms, standardised per band before any crop
    (`frontends.specvqgan_mel.normalise_bands`). Source: SpecVQGAN, sec. 3.4.
    """

    def __init__(self, config: VGGishishConfig) -> None:
        super().__init__()
        self.config = config
        widths = [width for level in config.levels for width in level]
        convs = [
            nn.Conv2d(widths[i - 1] if i else 1, width, 3, padding=1)
            for i, width in enumerate(widths)
        ]
        self.convs = nn.ModuleList(convs)
        self.hidden_in = nn.Linear(config.num_pooled, config.hidden)
        self.hidden_out = nn.Linear(config.hidden, config.hidden)
        self.head = nn.Linear(config.hidden, config.num_classes)
        for conv in convs:
            initialise_rectified(conv)
        self._initialise_linears()

    def forward(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b n"]:
        """Class scores before any softmax."""
        return self.head(self.hidden(mel))

    def hidden(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b d"]:
        """Activations before the last layer: features of a whole sound."""
        x = rearrange(self.pooled(mel), "b c h w -> b (c h w)")
        return F.relu(self.hidden_out(F.relu(self.hidden_in(x))))

    def pooled(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b c h w"]:
        """Averaged activations of the last convolution.

        Raises InputError for spectrograms that vanish in the poolings.
        """
        smallest = 2 ** (len(self.config.levels) - 1)
        if min(mel.shape[1:]) < smallest:
            raise InputError(
                f"expected spectrograms of at least {smallest} bands and frames, got "
                f"{mel.shape[1]} x {mel.shape[2]}: use a longer sound"
            )
        x, convs = rearrange(mel, "b m t -> b 1 m t"), iter(self.convs)
        for i, level in enumerate(self.config.levels):
            x = F.max_pool2d(x, 2) if i else x
            for _ in level:
                x = F.relu(next(convs)(x))
        return F.adaptive_avg_pool2d(x, self.config.pooled_shape)

    def _initialise_linears(self) -> None:
        for linear in (self.hidden_in, self.hidden_out, self.head):
            nn.init.normal_(linear.weight, 0.0, LINEAR_STD)
            nn.init.zeros_(linear.bias)
