"""Sizes of HTS-AT."""

from dataclasses import dataclass, replace
from typing import Literal

from earsight.errors import ConfigError

Labels = Literal["many", "one"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HtsatConfig:
    """Sizes of HTS-AT; the defaults are those of the published AudioSet weights.

    `picture` is the side of the square image that a spectrogram is folded into. `labels` says
    whether a clip has many (scores are probabilities of each) or one (scores are logits).
    Source: Chen et al., "HTS-AT: a hierarchical token-semantic audio transformer", 2022, sec. 2;
    official repository RetroCirce/HTS-Audio-Transformer.
    """

    picture: int = 256
    patch: int = 4
    strides: tuple[int, int] = (4, 4)
    num_mels: int = 64
    window: int = 8
    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (4, 8, 16, 32)
    num_classes: int = 527
    labels: Labels = "many"
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        sizes = (self.picture, self.patch, *self.strides, self.num_mels, self.window, self.width)
        if min(*sizes, self.num_classes) < 1 or not self.depths or min(self.depths) < 1:
            raise ConfigError("HTS-AT: every size must be at least 1")
        if len(self.depths) != len(self.num_heads):
            raise ConfigError(
                f"HTS-AT: {len(self.depths)} stages but heads for {len(self.num_heads)}"
            )
        if self.num_mels > self.picture:
            raise ConfigError(f"HTS-AT: {self.num_mels} bands exceed a picture of {self.picture}")
        if not 0 <= self.drop_path < 1:
            raise ConfigError(f"HTS-AT: drop_path must lie in [0, 1), got {self.drop_path}")
        self._check_grids()

    def _check_grids(self) -> None:
        for stride in self.strides:
            tokens = (self.picture + 2 * ((self.patch - stride) // 2) - self.patch) // stride + 1
            if self.patch < stride or tokens != self.picture // stride:
                raise ConfigError(
                    f"HTS-AT: patches of {self.patch} every {stride} do not tile a picture of "
                    f"{self.picture}"
                )
        if self.picture % self.num_chunks:
            raise ConfigError(
                f"HTS-AT: a picture of {self.picture} does not divide into {self.num_chunks} chunks"
            )
        for stage in range(self.num_stages):
            grid, window = self.grid(stage), self.stage_window(stage)
            halved = stage + 1 < self.num_stages
            if min(grid) < 1 or any(n % window or (halved and n % 2) for n in grid):
                raise ConfigError(
                    f"HTS-AT: stage {stage + 1} has a map of {grid[0]} x {grid[1]}, which does not "
                    f"divide into windows of {window}" + (" and halves" if halved else "")
                )
        rows = self.grid(self.num_stages - 1)[0]
        if rows % self.num_chunks:
            raise ConfigError(
                f"HTS-AT: the last map has {rows} rows for {self.num_chunks} chunks of time"
            )

    @property
    def num_stages(self) -> int:
        """Stages, between which maps halve and widths double."""
        return len(self.depths)

    @property
    def num_chunks(self) -> int:
        """Chunks of time that are stacked in the picture."""
        return self.picture // self.num_mels

    @property
    def max_frames(self) -> int:
        """Spectrogram frames that one picture holds."""
        return self.picture * self.num_chunks

    @property
    def image_bands(self) -> int:
        """Picture rows of one chunk; other bands are stretched to it."""
        return self.picture // self.num_chunks

    @property
    def last_width(self) -> int:
        """Width of the last stage."""
        return self.width * 2 ** (self.num_stages - 1)

    def grid(self, stage: int) -> tuple[int, int]:
        """Rows and columns of a stage's map of tokens."""
        rows, columns = (self.picture // stride // 2**stage for stride in self.strides)
        return rows, columns

    def stage_window(self, stage: int) -> int:
        """Side of a stage's windows: the map's where that is smaller."""
        return min(self.window, *self.grid(stage))

    def shift(self, stage: int, block: int) -> int:
        """Tokens by which a block's windows are moved: half a window in every second block."""
        fits_once = min(self.grid(stage)) <= self.window
        return 0 if fits_once or block % 2 == 0 else self.window // 2


def audioset() -> HtsatConfig:
    """The published AudioSet network."""
    return HtsatConfig()


def coarse(config: HtsatConfig, factor: int) -> HtsatConfig:
    """The same network for spectrograms with `factor` times fewer frames, of the same bands.

    Factor 4 takes 256 frames as two chunks of 128, so the picture's side halves. Source: the
    coarse-to-fine paper's HTS-AT experiments, whose sizes follow from the hop. Raises ConfigError
    where no square picture holds them.
    """
    side = round((config.max_frames / factor * config.num_mels) ** 0.5)
    if factor < 1 or side * side * factor != config.max_frames * config.num_mels:
        raise ConfigError(
            f"HTS-AT: {config.max_frames} frames over {factor}, {config.num_mels} bands each, fill "
            "no square picture: use a square number such as 4"
        )
    return replace(config, picture=side)
