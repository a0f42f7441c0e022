"""Sizes of Synchformer."""

from dataclasses import dataclass

from earsight.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SynchformerConfig:
    """Sizes of Synchformer; the defaults are the published ones.

    A segment is `segment_frames` pictures of `picture_size` and a spectrogram of `num_mels` x
    `mel_frames`; `num_segments` of each are compared. Source: Iashin et al., "Synchformer:
    efficient synchronization from sparse cues", 2024, sec. 3; official repository
    v-iashin/Synchformer.
    """

    width: int = 768
    hidden: int = 3072
    num_layers: int = 12
    num_heads: int = 12
    patch: int = 16
    picture_size: int = 224
    segment_frames: int = 16
    tube_frames: int = 2
    num_mels: int = 128
    mel_frames: int = 66
    mel_stride: int = 10
    num_segments: int = 14
    compare_layers: int = 3
    compare_heads: int = 8
    num_offsets: int = 21
    max_offset_seconds: float = 2.0

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide."""
        for name, heads in (("num_heads", self.num_heads), ("compare_heads", self.compare_heads)):
            if heads < 1 or self.width % heads:
                raise ConfigError(
                    f"Synchformer: width ({self.width}) must be a multiple of {name} ({heads})"
                )
        if self.picture_size % self.patch or self.segment_frames % self.tube_frames:
            raise ConfigError(
                f"Synchformer: picture_size ({self.picture_size}) must be a multiple of patch "
                f"({self.patch}), segment_frames ({self.segment_frames}) of tube_frames "
                f"({self.tube_frames})"
            )
        if min(self.num_mels, self.mel_frames) < self.patch:
            raise ConfigError(
                f"Synchformer: {self.num_mels} x {self.mel_frames} holds no patch of {self.patch}"
            )

    @property
    def video_grid(self) -> tuple[int, int, int]:
        """Patches of one picture segment over time, height and width."""
        side = self.picture_size // self.patch
        return self.segment_frames // self.tube_frames, side, side

    @property
    def mel_grid(self) -> tuple[int, int]:
        """Patches of one sound segment over bands and time."""
        rows, columns = (
            (size - self.patch) // self.mel_stride + 1 for size in (self.num_mels, self.mel_frames)
        )
        return rows, columns

    @property
    def num_compared(self) -> int:
        """Tokens of the comparison: both streams and two tokens of its own."""
        return 2 + self.num_segments * (self.video_grid[0] + self.mel_grid[1])
