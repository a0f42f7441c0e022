"""Sizes of the Inception classifier of spectrograms."""

from dataclasses import dataclass

from earsight.errors import ConfigError

SEVEN_WIDTHS = {"b": 8, "c": 10, "d": 10, "e": 12}
"""Inner widths, in units, of the blocks that look seven bands and seven frames far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MelceptionConfig:
    """Sizes of Melception; the defaults are the published ones.

    Every width of the network is a multiple of `unit` channels: 16 as published, 4 for a quarter
    of all widths. `auxiliary` is a second classifier on the middle of the network, which the
    published file holds and nothing uses. `dropout` acts on the last features while training.
    Source: SpecVQGAN, sec. 4.1; official repository v-iashin/SpecVQGAN, `evaluation`.
    """

    unit: int = 16
    num_classes: int = 309
    dropout: float = 0.5
    auxiliary: bool = True

    def __post_init__(self) -> None:
        """Refuse networks without channels or classes."""
        if min(self.unit, self.num_classes) < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"Melception: unit ({self.unit}) and num_classes ({self.num_classes}) must be 1 or "
                f"more, dropout ({self.dropout}) in [0, 1)"
            )

    @property
    def feature_width(self) -> int:
        """Values of the last features: 2048 as published."""
        return 128 * self.unit

    @property
    def middle_width(self) -> int:
        """Channels in the middle of the network, where the auxiliary classifier sits: 768."""
        return 48 * self.unit
