"""Networks that look at frames, with the front ends that published models were trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from earsight.checkpoints.fetch import cache_dir
from earsight.errors import InputError
from earsight.generate.bundles import CONVERTED, build_network, open_bundle
from earsight.generate.conditions import VisualKind
from earsight.media.video import FpsFilter, FrameRule
from earsight.models.resnet50.config import ResNet50Config
from earsight.models.resnet50.frames import frame_features
from earsight.models.resnet50.model import ResNet50Features

FEATURE_RATE = Fraction(43, 2)
RESNET50 = "resnet50-imagenet"
_FILTER = FpsFilter(FEATURE_RATE)


@runtime_checkable
class FrameNetwork(Protocol):
    """Upright RGB frames, chosen by `rule`, to one row of features each."""

    @property
    def rule(self) -> FrameRule:
        """Which frames of a video it wants."""
        ...

    def rows(self, frames: Iterator[UInt8[Tensor, "h w 3"]]) -> Iterator[Float[Tensor, " w"]]:
        """Features of a stream of frames, in memory that its length does not change."""
        ...


@dataclass(frozen=True, slots=True)
class ResNet50Frames:
    """ImageNet ResNet-50 features of frames picked by the `fps` filter."""

    network: ResNet50Features
    rule: FrameRule = _FILTER

    def rows(self, frames: Iterator[UInt8[Tensor, "h w 3"]]) -> Iterator[Float[Tensor, " w"]]:
        """2048 values per frame."""
        return frame_features(self.network, frames)


def frame_network(kind: VisualKind, *, device: torch.device) -> FrameNetwork | None:
    """The network that a kind of picture feature needs, from the cache; None where none is needed.

    Raises InputError where its weights are not installed, with the command that installs them.
    """
    match kind:
        case "motion" | "noise" | "none":
            return None
        case "resnet50":
            part = next(iter(open_bundle(_installed(RESNET50)).parts.values()))
            network = build_network(ResNet50Features, ResNet50Config, part, "resnet50", device)
            return ResNet50Frames(network)
        case "bn_inception":
            raise InputError("bn_inception")


def _installed(name: str) -> str:
    if not (cache_dir() / CONVERTED / name).is_dir():
        raise InputError(
            f"this model looks at pictures through {name}, whose weights are not installed: run "
            f"'earsight weights fetch {name}' and 'earsight weights convert {name}'"
        )
    return name
