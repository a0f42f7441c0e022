"""Which parameters of the code transformer are decayed in training.

Source: SpecVQGAN, sec. 4; official repository v-iashin/SpecVQGAN (AdamW, constant rate).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from torch import nn

from earsight.models.token_gpt.model import TokenGPT

WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.95)
EPS = 1e-8


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters that share a weight decay, by our names."""

    parameters: dict[str, nn.Parameter]
    weight_decay: float


def parameter_groups(model: TokenGPT) -> tuple[ParameterGroup, ParameterGroup]:
    """The decayed parameters, then the others.

    Weights of linear layers are decayed, the head's too; biases, norms, embeddings, positions and
    the convolution that embeds features are not.
    """
    modules = dict(cast("Iterable[tuple[str, nn.Module]]", model.named_modules()))
    linear = {f"{name}.weight" for name, part in modules.items() if isinstance(part, nn.Linear)}
    named = dict(model.named_parameters())
    decayed = {name: value for name, value in named.items() if name in linear}
    plain = {name: value for name, value in named.items() if name not in linear}
    return ParameterGroup(decayed, WEIGHT_DECAY), ParameterGroup(plain, 0.0)
