"""Guidance: draws that lean further towards the picture and the class than the model does.

Scores are moved away from those of the same model without picture and class:
`without + strength * (with - without)`. A strength of 1 is the model as trained. It needs a model
that was trained with both withheld now and then.
Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022, for scores of tokens.

Axes: b clips, f feature tokens, w feature width, n codes, k code vocabulary.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import ConfigError
from earsight.generate.sampler import Engine
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.engine import KeyValueCache


class GuidedEngine:
    """An engine that runs every clip twice, with its condition and with nothing, side by side.

    Raises ConfigError for a model that cannot be asked without its class.
    """

    def __init__(self, engine: Engine, strength: float) -> None:
        if engine.config.has_class and engine.config.class_dropout_index is None:
            raise ConfigError(
                "guidance compares with the model's answer without a class, and this model was "
                "always given one: leave --guidance at 1"
            )
        self.config: TokenGPTConfig = engine.config
        self._engine = engine
        self._strength = strength

    def prefill(
        self,
        features: Float[Tensor, "b f w"] | None,
        classes: Int[Tensor, " b"] | None,
        codes: Int[Tensor, "b n"],
    ) -> tuple[Float[Tensor, "b k"], KeyValueCache]:
        """Guided scores after condition and codes."""
        if features is not None:
            features = torch.cat([features, torch.zeros_like(features)])
        if classes is not None and (nothing := self.config.class_dropout_index) is not None:
            classes = torch.cat([classes, torch.full_like(classes, nothing)])
        scores, cache = self._engine.prefill(features, classes, torch.cat([codes, codes]))
        return self._lean(scores), cache

    def step(self, codes: Int[Tensor, " b"], cache: KeyValueCache) -> Float[Tensor, "b k"]:
        """Guided scores after one more code per clip."""
        return self._lean(self._engine.step(torch.cat([codes, codes]), cache))

    def _lean(self, scores: Float[Tensor, "c k"]) -> Float[Tensor, "b k"]:
        told, untold = scores.float().chunk(2)
        return untold + self._strength * (told - untold)


def guided(engine: Engine, strength: float) -> Engine:
    """The engine itself at a strength of 1, else a guided one."""
    return engine if strength == 1 else GuidedEngine(engine, strength)
