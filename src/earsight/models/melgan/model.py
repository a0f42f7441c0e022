"""Vocoder: transposed convolutions with dilated residual blocks, from mel to wave.

Axes: b clips, m mel bands, t frames, s samples, c channels.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from earsight.errors import InputError
from earsight.models.melgan.config import MelGANConfig

SLOPE = 0.2
DILATION_BASE = 3
EDGE_KERNEL = 7


class ResidualBlock(nn.Module):
    """Dilated convolution of 3 taps and one of 1 tap, added to a convolved shortcut."""

    def __init__(self, *, channels: int, dilation: int) -> None:
        super().__init__()
        self.shortcut = weight_norm(nn.Conv1d(channels, channels, 1))
        self.block = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.ReflectionPad1d(dilation),
            weight_norm(nn.Conv1d(channels, channels, 3, dilation=dilation)),
            nn.LeakyReLU(SLOPE),
            weight_norm(nn.Conv1d(channels, channels, 1)),
        )

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        """Same shape as the input."""
        return self.shortcut(x) + self.block(x)


class UpsamplingStage(nn.Module):
    """Longer by `ratio`: transposed convolution, then residual blocks of growing dilation."""

    def __init__(
        self, *, channels_in: int, channels_out: int, ratio: int, num_residual_layers: int
    ) -> None:
        super().__init__()
        self.activation = nn.LeakyReLU(SLOPE)
        self.upsample = weight_norm(
            nn.ConvTranspose1d(
                channels_in,
                channels_out,
                2 * ratio,
                stride=ratio,
                padding=ratio // 2 + ratio % 2,
                output_padding=ratio % 2,
            )
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(channels=channels_out, dilation=DILATION_BASE**layer)
            for layer in range(num_residual_layers)
        )

    def forward(self, x: Float[Tensor, "b c t"]) -> Float[Tensor, "b d s"]:
        """Features at `ratio` times the rate."""
        x = self.upsample(self.activation(x))
        for block in self.blocks:
            x = block(x)
        return x


class MelGANGenerator(nn.Module):
    """Wave in (-1, 1) at 22050 Hz from a mel in [0, 1], `hop_samples` per frame.

    Every convolution is weight-normalised; `fold_weight_norm` gives the plain network for
    inference. Source: Kumar et al., 2019, sec. 2.1; official repository
    descriptinc/melgan-neurips. The published N(0, 0.02) initialisation reached a tensor that
    weight norm recomputes, so PyTorch's defaults are what was trained, and are kept here.
    """

    def __init__(self, config: MelGANConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.stage_channels
        self.conv_in = weight_norm(nn.Conv1d(config.num_mels, widths[0], EDGE_KERNEL))
        self.stages = nn.ModuleList(
            UpsamplingStage(
                channels_in=before,
                channels_out=after,
                ratio=ratio,
                num_residual_layers=config.num_residual_layers,
            )
            for before, after, ratio in zip(widths, widths[1:], config.ratios, strict=False)
        )
        self.conv_out = weight_norm(nn.Conv1d(widths[-1], 1, EDGE_KERNEL))
        self.activation = nn.LeakyReLU(SLOPE)
        self.edge = nn.ReflectionPad1d(EDGE_KERNEL // 2)

    def forward(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b 1 s"]:
        """Wave of `hop_samples` * t samples.

        Raises InputError for a mel of other bands, or shorter than the borders to reflect.
        """
        return self.before_tanh(mel).tanh()

    def before_tanh(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b 1 s"]:
        """The wave before its last squashing."""
        return self._last(self.features(mel))

    def features(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b c s"]:
        """What the last layer turns into a wave: `channels` features per sample."""
        num_mels, num_frames = mel.shape[1:]
        if num_mels != self.config.num_mels:
            raise InputError(f"mel has {num_mels} bands, the vocoder takes {self.config.num_mels}")
        if num_frames < self.min_frames:
            raise InputError(
                f"mel has {num_frames} frames: at least {self.min_frames} are needed, "
                "whose borders can be reflected"
            )
        x = self.conv_in(self.edge(mel))
        for stage in self.stages:
            x = stage(x)
        return x

    def wave_of(self, features: Float[Tensor, "b c s"]) -> Float[Tensor, "b 1 s"]:
        """The wave of `features`; apart, so that it can run in more precision than they did."""
        return self._last(features).tanh()

    def _last(self, features: Tensor) -> Tensor:
        return self.conv_out(self.edge(self.activation(features)))

    @property
    def min_frames(self) -> int:
        """Fewest frames whose reflected borders fit at every stage."""
        reach = DILATION_BASE ** (self.config.num_residual_layers - 1)
        first_ratio = self.config.ratios[0]
        return max(EDGE_KERNEL // 2 + 1, int(reach // first_ratio) + 1)


def fold_weight_norm(generator: MelGANGenerator) -> MelGANGenerator:
    """Copy whose weights are plain tensors: the same wave, less work per call, no training."""
    # not a deepcopy: it would share the parametrised classes that folding takes apart
    folded = MelGANGenerator(generator.config).to(next(generator.parameters()).device)
    folded.load_state_dict(generator.state_dict())
    for module in list(folded.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    return folded.requires_grad_(False).eval()
