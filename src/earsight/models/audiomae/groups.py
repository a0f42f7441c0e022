"""Parameter groups of Audio-MAE's training.

Source: Audio-MAE, appendix; official repository facebookresearch/AudioMAE, after BEiT.
"""

from dataclasses import dataclass

from torch import nn

from earsight.errors import ConfigError
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder

LAYER_DECAY = 0.75
UNDECAYED = ("encoder.class_token",)  # more than one axis, and yet without weight decay


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters that share a weight decay and a factor of the learning rate, by our names."""

    parameters: dict[str, nn.Parameter]
    weight_decay: float
    rate_scale: float

    def for_optimizer(self) -> dict[str, object]:
        """The group as PyTorch's optimisers and `training.optim.set_rate` take it."""
        return {
            "params": list(self.parameters.values()),
            "weight_decay": self.weight_decay,
            "rate_scale": self.rate_scale,
        }


def layer_decay_groups(
    tagger: AudioTagger, *, weight_decay: float, layer_decay: float = LAYER_DECAY
) -> tuple[ParameterGroup, ...]:
    """Groups of fine-tuning, from the patches to the head.

    The head and the last norm have the whole rate, each block `layer_decay` times that of the next
    one, patches and class token that of a block before the first. Biases, norms and the class
    token are not decayed; positions are fixed. Raises ConfigError for a decay outside (0, 1].
    """
    if not 0 < layer_decay <= 1:
        raise ConfigError(f"layer_decay must lie in (0, 1], got {layer_decay}")
    num_blocks = tagger.config.encoder.num_layers
    groups: dict[tuple[int, bool], dict[str, nn.Parameter]] = {}
    for name, parameter in tagger.named_parameters():
        decayed = parameter.ndim > 1 and name not in UNDECAYED
        groups.setdefault((_depth(name, num_blocks), decayed), {})[name] = parameter
    return tuple(
        ParameterGroup(
            own, weight_decay if decayed else 0.0, layer_decay ** (num_blocks + 1 - depth)
        )
        for (depth, decayed), own in sorted(groups.items(), key=lambda item: item[0])
    )


def pretraining_groups(
    network: MaskedAutoencoder, *, weight_decay: float
) -> tuple[ParameterGroup, ParameterGroup]:
    """Groups of pre-training: the decayed parameters, then those of one axis."""
    named = dict(network.named_parameters())
    decayed = {name: value for name, value in named.items() if value.ndim > 1}
    plain = {name: value for name, value in named.items() if value.ndim <= 1}
    return ParameterGroup(decayed, weight_decay, 1.0), ParameterGroup(plain, 0.0, 1.0)


def _depth(name: str, num_blocks: int) -> int:
    """0 for what comes before the blocks, 1 for the first one, and so on."""
    parts = name.split(".")
    if parts[:2] == ["encoder", "blocks"]:
        return int(parts[2]) + 1
    return 0 if parts[0] == "encoder" else num_blocks + 1
