"""Sizes of the code transformer and its published settings."""

from dataclasses import dataclass, replace
from typing import Literal

from earsight.errors import ConfigError

ConditionKind = Literal["features", "class", "features+class"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenGPTConfig:
    """Sizes of the code transformer.

    `num_positions` counts condition tokens and codes together, since one table holds the
    positions of both: a model built for 5 features cannot be run with 6. `class_dropout_index`
    names the class row that stands for "no class given", where the model was trained with one.
    Source: SpecVQGAN, sec. 3.2; sizes of the official configurations.
    """

    num_codes: int = 1024
    num_positions: int = 477
    width: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    grid_rows: int = 5
    grid_columns: int = 53
    condition: ConditionKind = "features"
    feature_width: int = 2048
    num_classes: int = 309
    class_dropout_index: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse sizes that contradict each other."""
        if self.width % self.num_heads:
            raise ConfigError(
                f"width ({self.width}) must be a multiple of num_heads ({self.num_heads})"
            )
        if self.num_positions <= self.num_grid_codes:
            raise ConfigError(
                f"num_positions ({self.num_positions}) must exceed the {self.grid_rows} x "
                f"{self.grid_columns} = {self.num_grid_codes} codes of the grid: the rest is the "
                "condition"
            )
        if self.condition == "class" and self.num_condition != 1:
            raise ConfigError(
                f"a class condition is one token, num_positions leaves {self.num_condition}: set "
                f"num_positions to {self.num_grid_codes + 1}"
            )
        if self.class_dropout_index is not None and not (
            0 <= self.class_dropout_index < self.num_classes
        ):
            raise ConfigError(
                f"class_dropout_index ({self.class_dropout_index}) must be a row of the "
                f"{self.num_classes} classes"
            )

    @property
    def num_grid_codes(self) -> int:
        """Codes of one full window."""
        return self.grid_rows * self.grid_columns

    @property
    def num_condition(self) -> int:
        """Condition tokens in front of the codes."""
        return self.num_positions - self.num_grid_codes

    @property
    def num_features(self) -> int:
        """Feature tokens among the condition tokens."""
        return self.num_condition - (self.condition != "features") if self.has_features else 0

    @property
    def has_features(self) -> bool:
        """Whether visual features are part of the condition."""
        return self.condition != "class"

    @property
    def has_class(self) -> bool:
        """Whether a class is part of the condition."""
        return self.condition != "features"


def published(
    *, num_features: int = 212, condition: ConditionKind = "features", num_codes: int = 1024
) -> TokenGPTConfig:
    """A published setting: 1, 5 or 212 features, the VGGSound (1024) or VAS (128) codebook.

    Source: SpecVQGAN, sec. 4; the class settings have 309 (VGGSound) or 8 (VAS) classes.
    """
    base = TokenGPTConfig(num_codes=num_codes, num_positions=265 + num_features)
    match condition:
        case "features":
            return base
        case "class":
            return replace(base, condition=condition, num_positions=266)
        case "features+class":
            return replace(base, condition=condition, num_positions=266 + num_features)
