"""Melception: InceptionV3 over log-mel spectrograms, without the poolings of its stem.

Axes: b clips, m mel bands, t frames, c channels, h and w rows and columns, n classes, d features.
"""

from dataclasses import dataclass

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from earsight.errors import ConfigError, InputError
from earsight.models.melception.blocks import (
    AuxiliaryHead,
    Block8,
    Block17,
    Block35,
    Reduction17,
    Reduction35,
    Unit,
)
from earsight.models.melception.config import SEVEN_WIDTHS, MelceptionConfig

SMALLEST = 23  # bands or frames that leave one row or column after the last reduction
SMALLEST_AUXILIARY = 79  # the same for the auxiliary classifier's 5x5 kernel
CONV_STD, HEAD_STD, AUXILIARY_CONV_STD, AUXILIARY_HEAD_STD = 0.1, 0.1, 0.01, 0.001


@dataclass(frozen=True, kw_only=True, slots=True)
class MelceptionMaps:
    """Activations along the network, by the number of rows that 80 bands leave.

    Published names of the ends: Conv2d_2b, Conv2d_4a, Mixed_5d, Mixed_6e, Mixed_7c.
    """

    rows37: Float[Tensor, "b c37 h37 w37"]
    stem: Float[Tensor, "b c0 h35 w35"]
    rows35: Float[Tensor, "b c35 h35 w35"]
    rows17: Float[Tensor, "b c17 h17 w17"]
    rows8: Float[Tensor, "b c8 h8 w8"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MelceptionFeatures:
    """The six vectors per clip that metrics read; published names in brackets.

    `rows37` (64), `stem` (192), `rows17` (768), `features` (2048: Frechet and kernel distances),
    `unbiased_scores` (logits_unbiased: inception score), `scores` (logits: MKL).
    """

    rows37: Float[Tensor, "b c37"]
    stem: Float[Tensor, "b c0"]
    rows17: Float[Tensor, "b c17"]
    features: Float[Tensor, "b d"]
    unbiased_scores: Float[Tensor, "b n"]
    scores: Float[Tensor, "b n"]


class Melception(nn.Module):
    """Sound classifier on standardised log-mel spectrograms of any length.

    Inputs are the [0, 1] spectrograms, standardised per band
    (`frontends.specvqgan_mel.normalise_bands`). Source: SpecVQGAN, sec. 4.1; differs from the
    paper: it says that no pooling is left, while those inside the reductions are.
    """

    def __init__(self, config: MelceptionConfig) -> None:
        super().__init__()
        self.config = config
        u = config.unit
        self.stem37 = nn.Sequential(
            Unit(1, 2 * u, 3, stride=2), Unit(2 * u, 2 * u, 3), Unit(2 * u, 4 * u, 3, padding=1)
        )
        self.stem35 = nn.Sequential(Unit(4 * u, 5 * u, 1), Unit(5 * u, 12 * u, 3))
        self.rows35 = nn.ModuleDict(
            {
                "b": Block35(12 * u, unit=u, pooled=2),
                "c": Block35(16 * u, unit=u, pooled=4),
                "d": Block35(18 * u, unit=u, pooled=4),
            }
        )
        self.reduce35 = Reduction35(18 * u, unit=u)
        self.rows17 = nn.ModuleDict(
            {name: Block17(48 * u, unit=u, inner=inner) for name, inner in SEVEN_WIDTHS.items()}
        )
        self.auxiliary = nn.ModuleList()
        if config.auxiliary:
            self.auxiliary.append(AuxiliaryHead(48 * u, unit=u, num_classes=config.num_classes))
        self.reduce17 = Reduction17(48 * u, unit=u)
        self.rows8 = nn.ModuleDict({"b": Block8(80 * u, unit=u), "c": Block8(128 * u, unit=u)})
        self.head = nn.Linear(config.feature_width, config.num_classes)
        self._initialise()

    def forward(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b n"]:
        """Class scores before any softmax."""
        pooled = self.maps(mel).rows8.mean((2, 3))
        return self.head(functional.dropout(pooled, self.config.dropout, self.training))

    def maps(self, mel: Float[Tensor, "b m t"]) -> MelceptionMaps:
        """Activations along the network; InputError for spectrograms that vanish on the way."""
        _refuse_below(SMALLEST, mel)
        rows37 = self.stem37(rearrange(mel, "b m t -> b 1 m t"))
        stem = rows35 = self.stem35(rows37)
        for block in self.rows35.values():
            rows35 = block(rows35)
        rows17 = self.reduce35(rows35)
        for block in self.rows17.values():
            rows17 = block(rows17)
        rows8 = self.reduce17(rows17)
        for block in self.rows8.values():
            rows8 = block(rows8)
        return MelceptionMaps(rows37=rows37, stem=stem, rows35=rows35, rows17=rows17, rows8=rows8)

    def features(self, mel: Float[Tensor, "b m t"]) -> MelceptionFeatures:
        """What the published metrics read, without dropout."""
        return self.read_out(self.maps(mel))

    def read_out(self, maps: MelceptionMaps) -> MelceptionFeatures:
        """Means over bands and time, and class scores with and without the head's bias."""
        pooled = maps.rows8.mean((2, 3))
        unbiased = functional.linear(pooled, self.head.weight)
        return MelceptionFeatures(
            rows37=maps.rows37.mean((2, 3)),
            stem=maps.stem.mean((2, 3)),
            rows17=maps.rows17.mean((2, 3)),
            features=pooled,
            unbiased_scores=unbiased,
            scores=unbiased + self.head.bias,
        )

    def auxiliary_scores(self, mel: Float[Tensor, "b m t"]) -> Float[Tensor, "b n"]:
        """Scores of the auxiliary classifier, which no published training used.

        Raises ConfigError without one, InputError for less than 79 bands or frames.
        """
        for head in self.auxiliary:
            _refuse_below(SMALLEST_AUXILIARY, mel)
            return head(self.maps(mel).rows17)
        raise ConfigError("this Melception has no auxiliary classifier: build it with one")

    def _initialise(self) -> None:
        """InceptionV3's: normal, cut at 2 in either direction; norms at one and zero."""
        inner = {id(module) for head in self.auxiliary for module in head.modules()}
        for module in self.modules():
            own = id(module) in inner
            if isinstance(module, nn.Conv2d):
                # only the 5x5 convolution of the auxiliary head is drawn smaller
                small = own and module.kernel_size == (5, 5)
                std = AUXILIARY_CONV_STD if small else CONV_STD
                nn.init.trunc_normal_(module.weight, std=std)
            elif isinstance(module, nn.Linear):
                std = AUXILIARY_HEAD_STD if own else HEAD_STD
                nn.init.trunc_normal_(module.weight, std=std)


def _refuse_below(smallest: int, mel: Float[Tensor, "b m t"]) -> None:
    if min(mel.shape[1:]) < smallest:
        raise InputError(
            f"expected spectrograms of at least {smallest} bands and frames, got "
            f"{mel.shape[1]} x {mel.shape[2]}: use a longer sound"
        )
