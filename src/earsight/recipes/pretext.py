"""What one kind of pre-training has of its own, for the loop that all of them share.

Axes: b clips, t frames, m mel bands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from earsight.frontends.kaldi_fbank import FbankSettings
from earsight.training.coarse_to_fine import Compression

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip whole, as the network sees it, and rebuilt."""

    whole: Float[Tensor, "t m"]
    seen: Float[Tensor, "t m"]
    rebuilt: Float[Tensor, "t m"]


@runtime_checkable
class Pretext(Protocol[Network]):
    """A kind of pre-training: how its network begins, goes on, and what it has to find out.

    `family` is that of the exported folder and of a start, `title` what its card calls the
    network. `score` is which of the numbers of `losses` judges it. `halve_patience` is for
    `RateHalving`. `phase` is always the resolution of a phase.
    """

    family: str
    title: str
    score: str
    higher_is_better: bool
    halve_patience: int | None
    num_frames: int
    fbank: FbankSettings

    def network(self, phase: Compression) -> Network:
        """A new network; constructors may draw from torch's global generator."""
        ...

    def carried(self, network: Network, phase: Compression) -> Network:
        """A network for a phase with the weights of another phase's."""
        ...

    def optimizer(self, network: Network) -> Optimizer:
        """A new optimiser for a phase."""
        ...

    def rate(self, step: int, *, steps_per_epoch: int, num_epochs: int) -> float:
        """Learning rate of the update that follows `step` finished ones of a phase."""
        ...

    def losses(
        self,
        network: Network,
        fbank: Float[Tensor, "b t m"],
        generators: Sequence[torch.Generator],
        *,
        rng: torch.Generator | None,
    ) -> dict[str, Tensor]:
        """Named means over clips; "loss" is what is minimised.

        A clip's `generator` (on the CPU) draws what is hidden of it, `rng` (on the network's
        device) whatever else a network draws in training.
        """
        ...

    def shown(
        self, network: Network, fbank: Float[Tensor, "1 t m"], generator: torch.Generator
    ) -> Shown:
        """A clip before and after."""
        ...

    def sizes(self) -> Any:
        """Sizes of the network at full resolution."""
        ...

    def extra(self) -> Mapping[str, Any]:
        """What the exported folder tells beside its front end."""
        ...

    def described(self) -> str:
        """A sentence for the card."""
        ...
