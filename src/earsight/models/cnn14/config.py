"""Sizes of CNN14."""

from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Cnn14Config:
    """Sizes of CNN14; the defaults are the published ones, the same at 16 and 32 kHz.

    `rate_hz` says which spectrogram the weights were trained on. Source: Kong et al., "PANNs:
    large-scale pretrained audio neural networks", 2020, table 1.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    num_mels: int = 64
    num_classes: int = 527
    rate_hz: int = 16000

    def __post_init__(self) -> None:
        """Refuse spectrograms that the poolings leave nothing of."""
        if not self.widths or min(*self.widths, self.num_classes) < 1:
            raise ConfigError("CNN14: needs widths and num_classes of at least 1")
        if self.num_mels < self.pooling:
            raise ConfigError(
                f"CNN14: {self.num_mels} bands vanish in {len(self.widths) - 1} poolings: "
                f"at least {self.pooling}"
            )

    @property
    def pooling(self) -> int:
        """Frames, and bands, that become one: every block but the last halves both."""
        return 2 ** (len(self.widths) - 1)
