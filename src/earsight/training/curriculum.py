"""The coarse-to-fine part of a recipe: which coarse phases come before the full resolution.

Source: Feng et al., "From coarse to fine: efficient training for audio spectrogram transformers",
2024.
"""

from dataclasses import dataclass

from earsight.errors import ConfigError
from earsight.training.coarse_to_fine import (
    Compression,
    Method,
    Phase,
    PlateauRule,
    check_phases,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curriculum:
    """Coarse phases of a training; without `factors` there is the full resolution alone.

    `factors` and `epochs` have one entry a coarse phase, for example (4, 2) and (3, 3); the phase
    at full resolution has the recipe's own number of epochs. With `plateau_patience` a coarse phase
    ends earlier, once so many epochs in a row gained less than `plateau_gain` on the valid clips.
    `scaled_masks` narrows time masks along with the spectrogram. `beat` ends the training at the
    first check at full resolution whose score is better than this one, for example a baseline's
    best.
    """

    method: Method = "frame_shift"
    factors: tuple[int, ...] = ()
    epochs: tuple[int, ...] = ()
    plateau_patience: int | None = None
    plateau_gain: float = 0.0
    scaled_masks: bool = True
    beat: float | None = None

    def __post_init__(self) -> None:
        """Refuse phases that do not go from coarse to fine."""
        if len(self.factors) != len(self.epochs):
            raise ConfigError(
                f"curriculum: expected as many epochs as factors, got {self.factors} and "
                f"{self.epochs}"
            )
        if self.factors and min(self.factors) < 2:
            raise ConfigError(
                f"curriculum: factors are those of the coarse phases, 2 or more: {self.factors}"
            )
        self.phases(fine_epochs=1)

    def phases(self, *, fine_epochs: int, higher_is_better: bool = True) -> tuple[Phase, ...]:
        """All phases, the last one at full resolution.

        Raises ConfigError where they do not go from coarse to fine.
        """
        rule = None
        if self.plateau_patience is not None:
            rule = PlateauRule(
                patience=self.plateau_patience,
                min_gain=self.plateau_gain,
                higher_is_better=higher_is_better,
            )
        coarse = [
            Phase(
                compression=Compression(method=self.method, factor=factor),
                max_epochs=epochs,
                plateau=rule,
            )
            for factor, epochs in zip(self.factors, self.epochs, strict=True)
        ]
        full = Compression(method=self.method, factor=1)
        phases = (*coarse, Phase(compression=full, max_epochs=fine_epochs))
        check_phases(phases)
        return phases
