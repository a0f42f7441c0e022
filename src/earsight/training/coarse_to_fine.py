"""Training in phases from a coarse to the full time resolution: inputs, phases, weight transfer.

Every phase starts its optimiser, learning rate and warm-up anew; only weights go over. Source:
Feng et al., "From coarse to fine: efficient training for audio spectrogram transformers", 2024.

Axes: b clips, t frames, m mel bands.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError, InputError, WeightsError
from earsight.nn.patch_kernels import KernelRule, resized_kernel
from earsight.nn.position_tables import Grid, patch_grid, resized_table
from earsight.nn.time_pooling import pool_time

Method = Literal["frame_shift", "average_pool", "max_pool", "patch_bilinear", "patch_inverse"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compression:
    """How `factor` times fewer tokens stand for the same sound.

    - frame_shift: frames `factor` times as far apart, of the same window
    - average_pool, max_pool: every `factor` frames of the normalised spectrogram become one
    - patch_bilinear, patch_inverse: the full spectrogram, patches `factor` times as long; the two
      differ in how the kernel goes over to the next phase
    """

    method: Method
    factor: int

    def __post_init__(self) -> None:
        """Refuse a factor that is none."""
        if self.factor < 1:
            raise ConfigError(f"expected a compression factor of at least 1, got {self.factor}")

    @property
    def hop_factor(self) -> int:
        """By how much the front end's frame shift is longer."""
        return self.factor if self.method == "frame_shift" else 1

    @property
    def patch_factor(self) -> int:
        """By how much patches are longer in time, and their strides."""
        return self.factor if self.method.startswith("patch") else 1

    @property
    def kernel_rule(self) -> KernelRule:
        """How the patch kernel goes over to patches of another size."""
        return "bilinear" if self.method == "patch_bilinear" else "inverse"

    def spectrogram_frames(self, full: int) -> int:
        """Frames to ask the front end for where `full` are the uncompressed ones."""
        return full // self.hop_factor

    def network_frames(self, full: int) -> int:
        """Frames that the network sees."""
        return full if self.patch_factor > 1 else full // self.factor

    def mask_frames(self, full: int, *, scaled: bool = True) -> int:
        """Widest time mask of SpecAugment where `full` is the uncompressed one.

        Only spectrograms of fewer frames need another. The paper does not say whether theirs
        shrink; with `scaled` off, 192 of 256 frames may be hidden.
        """
        return self.spectrogram_frames(full) if scaled else full

    def patch(self, full: Grid) -> Grid:
        """Bands and frames of a patch where `full` are the uncompressed ones; strides likewise."""
        return full[0], full[1] * self.patch_factor

    def grid(self, size: Grid, *, patch: Grid, strides: Grid) -> Grid:
        """Rows and columns of patches; all arguments are the uncompressed ones."""
        seen = size[0], self.network_frames(size[1])
        return patch_grid(size=seen, patch=self.patch(patch), strides=self.patch(strides))


def compressed_input(x: Float[Tensor, "b t m"], compression: Compression) -> Float[Tensor, "b u m"]:
    """A normalised spectrogram as the network of this phase sees it.

    Pooling happens here; the other methods act in the front end (`hop_factor`) or in the patches.
    """
    if compression.method in ("average_pool", "max_pool"):
        kind = "average" if compression.method == "average_pool" else "max"
        return pool_time(x, compression.factor, kind=kind)
    return x


@dataclass(frozen=True, kw_only=True, slots=True)
class PlateauRule:
    """When a validation curve counts as flat: no gain of `min_gain` in `patience` epochs.

    A gain counts from the last one that was large enough, so that many small ones add up.
    """

    patience: int = 2
    min_gain: float = 0.0
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        """Refuse a rule that ends at once."""
        if self.patience < 1 or not self.min_gain >= 0:
            raise ConfigError(f"expected a patience of 1 or more and a gain of 0 or more: {self}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A stretch of training at one resolution: `max_epochs`, fewer where its curve flattens."""

    compression: Compression
    max_epochs: int
    plateau: PlateauRule | None = None

    def __post_init__(self) -> None:
        """Refuse a phase without an epoch."""
        if self.max_epochs < 1:
            raise ConfigError(f"a phase has at least one epoch, got {self.max_epochs}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a training of phases stands; plain numbers, to be saved with its state.

    `phase` and `epoch` count what is finished (`epoch` within the phase); `best` is the value that
    gains are counted from and `stale` the epochs since.
    """

    phase: int = 0
    epoch: int = 0
    best: float | None = None
    stale: int = 0

    def finished(self, phases: Sequence[Phase]) -> bool:
        """Whether all phases are over."""
        return self.phase >= len(phases)


def check_phases(phases: Sequence[Phase]) -> None:
    """Raise ConfigError where there is no phase, or one is coarser than the one before."""
    factors = [phase.compression.factor for phase in phases]
    if not factors or factors != sorted(factors, reverse=True):
        raise ConfigError(f"expected phases from coarse to fine, got factors {factors}")


def two_phases(
    method: Method,
    factor: int,
    *,
    coarse_epochs: int,
    fine_epochs: int,
    plateau: PlateauRule | None = None,
) -> tuple[Phase, ...]:
    """A coarse phase, then full resolution; `plateau` may end the coarse one earlier.

    The paper spends a quarter of the baseline's epochs on the coarse phase: 1 on AudioSet, 5 on
    VGGSound, VoxCeleb and Kinetics-Sounds.
    """
    return (
        Phase(
            compression=Compression(method=method, factor=factor),
            max_epochs=coarse_epochs,
            plateau=plateau,
        ),
        Phase(compression=Compression(method=method, factor=1), max_epochs=fine_epochs),
    )


def three_phases(
    method: Method,
    *,
    factors: tuple[int, int] = (4, 2),
    coarse_epochs: tuple[int, int] = (3, 3),
    fine_epochs: int,
    plateau: PlateauRule | None = None,
) -> tuple[Phase, ...]:
    """Two coarse phases, then full resolution; the defaults are the published 4, 2, 1."""
    coarse = [
        Phase(
            compression=Compression(method=method, factor=factor),
            max_epochs=epochs,
            plateau=plateau,
        )
        for factor, epochs in zip(factors, coarse_epochs, strict=True)
    ]
    fine = Phase(compression=Compression(method=method, factor=1), max_epochs=fine_epochs)
    return (*coarse, fine)


def after_epoch(progress: Progress, phases: Sequence[Phase], value: float) -> Progress:
    """Progress after an epoch whose validation gave `value`; a phase that is over is left.

    Raises InputError where all phases are over already, or the value is not a number.
    """
    if progress.finished(phases):
        raise InputError(f"all {len(phases)} phases are over: there is no epoch left to count")
    if math.isnan(value):
        raise InputError("the validation value is not a number: no curve can be followed")
    phase = phases[progress.phase]
    rule = phase.plateau or PlateauRule()
    sign = 1.0 if rule.higher_is_better else -1.0
    gain = math.inf if progress.best is None else sign * (value - progress.best)
    grew = gain > 0 and gain >= rule.min_gain
    now = replace(
        progress,
        epoch=progress.epoch + 1,
        best=value if grew else progress.best,
        stale=0 if grew else progress.stale + 1,
    )
    flat = phase.plateau is not None and now.stale >= rule.patience
    return Progress(phase=now.phase + 1) if flat or now.epoch >= phase.max_epochs else now


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchPlan:
    """What of a transformer depends on its resolution: patch size, and grid of positions."""

    patch: Grid
    grid: Grid


def carried_over(
    entries: Mapping[str, Tensor],
    *,
    kernel: str,
    positions: str,
    before: PatchPlan,
    after: PatchPlan,
    kernel_rule: KernelRule,
    num_class_tokens: int = 2,
    antialias_positions: bool = True,
    antialias_kernel: bool | None = None,
) -> dict[str, Tensor]:
    """Entries of one phase as the network of the next takes them; everything else is copied.

    `kernel` and `positions` name the patch kernel and the position table, whose rows of class
    tokens stay. `antialias_kernel` None is what is published for the rule. Raises WeightsError for
    entries that are not those of `before`. What the paper leaves open is as in the official
    repository JiuFengSC/FlexiAST_INTERSPEECH23.
    """
    missing = [name for name in (kernel, positions) if name not in entries]
    if missing:
        raise WeightsError(f"expected {' and '.join(missing)} among {len(entries)} entries")
    if tuple(entries[kernel].shape[2:]) != before.patch:
        raise WeightsError(
            f"{kernel} is of patches {tuple(entries[kernel].shape[2:])}, expected {before.patch}"
        )
    changed = dict(entries)
    if before.patch != after.patch:
        changed[kernel] = resized_kernel(
            entries[kernel], after.patch, rule=kernel_rule, antialias=antialias_kernel
        )
    if before.grid != after.grid:
        changed[positions] = resized_table(
            entries[positions],
            grid=before.grid,
            size=after.grid,
            num_class_tokens=num_class_tokens,
            antialias=antialias_positions,
        )
    return changed
