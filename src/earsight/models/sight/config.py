"""Sizes of the small image tower."""

from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SightConfig:
    """Sizes of the small image tower.

    A frame is squeezed to `picture_size` pixels on both sides and halved once per entry of
    `channels`; frames then see others up to `reach` frames away. `num_values` describe a frame.
    """

    picture_size: int = 48
    channels: tuple[int, ...] = (16, 24, 48, 64)
    width: int = 96
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4)
    norm_groups: int = 8
    num_values: int = 16
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other."""
        if not self.channels or any(c % self.norm_groups for c in self.channels):
            raise ConfigError(
                f"channels {self.channels} must be multiples of norm_groups ({self.norm_groups})"
            )
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel ({self.kernel}) must be odd, so that it has a middle")
        if self.picture_size < 2 ** len(self.channels):
            raise ConfigError(
                f"a picture of {self.picture_size} cannot be halved {len(self.channels)} times"
            )

    @property
    def reach(self) -> int:
        """Frames on each side that a description depends on, the neighbour in changes included."""
        return sum(self.dilations) * (self.kernel // 2) + 1
