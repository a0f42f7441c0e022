"""Discriminators of waves at several sample rates.

Axes: b clips, s samples, c channels, n steps.
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from earsight.models.melgan.config import DiscriminatorConfig

SLOPE = 0.2
FIRST_KERNEL = 15


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the discriminators say: per scale, the features of every layer, the logits last."""

    features: tuple[tuple[Float[Tensor, "b _ _"], ...], ...]

    @property
    def logits(self) -> tuple[Float[Tensor, "b 1 _"], ...]:
        """The last layer's output of each scale; positive means real."""
        return tuple(scale[-1] for scale in self.features)


class ScaleDiscriminator(nn.Module):
    """Grouped strided convolutions over a wave at one rate."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = config.layer_channels
        wide = min(2 * widths[-1], config.max_channels)
        first = nn.Sequential(
            nn.ReflectionPad1d(FIRST_KERNEL // 2),
            weight_norm(nn.Conv1d(1, widths[0], FIRST_KERNEL)),
            nn.LeakyReLU(SLOPE),
        )
        strided = [
            nn.Sequential(
                weight_norm(
                    nn.Conv1d(
                        before,
                        after,
                        10 * config.factor + 1,
                        stride=config.factor,
                        padding=5 * config.factor,
                        groups=before // 4,
                    )
                ),
                nn.LeakyReLU(SLOPE),
            )
            for before, after in pairwise(widths)
        ]
        last = nn.Sequential(
            weight_norm(nn.Conv1d(widths[-1], wide, 5, padding=2)), nn.LeakyReLU(SLOPE)
        )
        logits = weight_norm(nn.Conv1d(wide, 1, 3, padding=1))
        self.layers = nn.ModuleList([first, *strided, last, logits])

    def forward(self, wave: Float[Tensor, "b 1 s"]) -> tuple[Tensor, ...]:
        """Outputs of all layers, the logits last."""
        outputs: list[Tensor] = []
        for layer in self.layers:
            wave = layer(wave)
            outputs.append(wave)
        return tuple(outputs)


class MultiScaleDiscriminator(nn.Module):
    """Equal networks on the wave and on its running averages.

    Source: Kumar et al., 2019, sec. 2.2; official repository descriptinc/melgan-neurips.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(ScaleDiscriminator(config) for _ in range(config.num_scales))
        self.halve = nn.AvgPool1d(4, stride=2, padding=1, count_include_pad=False)

    def forward(self, wave: Float[Tensor, "b 1 s"]) -> Judgement:
        """Features of every scale, the full rate first."""
        features: list[tuple[Tensor, ...]] = []
        for scale in self.scales:
            features.append(scale(wave))
            wave = self.halve(wave)
        return Judgement(tuple(features))
