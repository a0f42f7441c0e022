"""Sizes of PaSST."""

from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class PasstConfig:
    """Sizes of PaSST-S; the defaults are the published ones.

    `strides` are those of the patches over bands and over frames; `max_columns` is how many
    patches the table of time positions holds (99: 10 s). Source: Koutini et al., "Efficient
    training of audio transformers with patchout", 2022; official repository kkoutini/PaSST.
    """

    num_mels: int = 128
    patch: int = 16
    strides: tuple[int, int] = (10, 10)
    max_columns: int = 99
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    hidden: int = 3072
    num_classes: int = 527

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        sizes = (self.patch, *self.strides, self.max_columns, self.width, self.num_heads)
        if min(*sizes, self.hidden, self.num_classes) < 1 or self.num_layers < 0:
            raise ConfigError("PaSST: every size must be at least 1")
        if self.width % self.num_heads:
            raise ConfigError(
                f"PaSST: width ({self.width}) must be a multiple of num_heads ({self.num_heads})"
            )
        if self.num_mels < self.patch:
            raise ConfigError(f"PaSST: {self.num_mels} bands hold no patch of {self.patch}")

    @property
    def num_rows(self) -> int:
        """Patches over the bands."""
        return (self.num_mels - self.patch) // self.strides[0] + 1

    @property
    def max_frames(self) -> int:
        """Most spectrogram frames that the table of time positions covers."""
        return self.patch + self.max_columns * self.strides[1] - 1


def twenty_seconds() -> PasstConfig:
    """The published network for sounds up to 20 s."""
    return PasstConfig(max_columns=200)


def thirty_seconds() -> PasstConfig:
    """The published network for sounds up to 30 s."""
    return PasstConfig(max_columns=300)


def without_overlap() -> PasstConfig:
    """The published network whose patches do not overlap, the fastest one."""
    return PasstConfig(strides=(16, 16), max_columns=62)
