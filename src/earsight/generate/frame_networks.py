"""Networks that look at frames, with the front ends that published models were trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from earsight.checkpoints.fetch import cache_dir
from earsight.errors import InputError, WeightsError
from earsight.frontends import resnet50_frames
from earsight.generate.bundles import CONVERTED, build_network, open_bundle
from earsight.generate.conditions import VisualKind
from earsight.media.video import FpsFilter, FrameRule, OutputRate
from earsight.models.bn_inception import frames as bn_inception_frames
from earsight.models.bn_inception.config import BNInceptionConfig
from earsight.models.bn_inception.model import BNInception
from earsight.models.resnet50.config import ResNet50Config
from earsight.models.resnet50.model import ResNet50Features

FEATURE_RATE = Fraction(43, 2)
RESNET50 = "resnet50-imagenet"
BN_INCEPTION = "bn-inception-imagenet"
_BATCH = 8
_FILTER = FpsFilter(FEATURE_RATE)
_OUTPUT_RATE = OutputRate(FEATURE_RATE)


@runtime_checkable
class FrameNetwork(Protocol):
    """Upright RGB frames, chosen by `rule`, to rows of features, in two steps.

    What is kept of a frame is small; features are worked out for the frames that are asked for.
    """

    @property
    def rule(self) -> FrameRule:
        """Which frames of a video it wants."""
        ...

    def keep(self, frames: Iterator[UInt8[Tensor, "h w 3"]]) -> Iterator[Shaped[Tensor, "..."]]:
        """One small tensor per row of features, in memory that the length does not change."""
        ...

    def features(self, kept: Sequence[Shaped[Tensor, "..."]]) -> Float[Tensor, "n w"]:
        """Features of what was kept."""
        ...


@dataclass(frozen=True, slots=True)
class ResNet50Frames:
    """ImageNet ResNet-50 features of frames picked by the `fps` filter."""

    network: ResNet50Features
    rule: FrameRule = _FILTER

    def keep(self, frames: Iterator[UInt8[Tensor, "h w 3"]]) -> Iterator[Shaped[Tensor, "..."]]:
        """The square that the network looks at."""
        return map(resnet50_frames.centre_square, frames)

    @torch.inference_mode()
    def features(self, kept: Sequence[Shaped[Tensor, "..."]]) -> Float[Tensor, "n w"]:
        """2048 values per frame."""
        device = self.network.conv_in.weight.device
        rows = [
            self.network(torch.stack([*map(resnet50_frames.normalised, batch)]).to(device)).cpu()
            for batch in (kept[first : first + _BATCH] for first in range(0, len(kept), _BATCH))
        ]
        return torch.cat(rows)


@dataclass(frozen=True, slots=True)
class BNInceptionFrames:
    """BN-Inception features of frames picked by an output rate, and of the flow between them."""

    colour: BNInception
    flow: BNInception
    rule: FrameRule = _OUTPUT_RATE

    def keep(self, frames: Iterator[UInt8[Tensor, "h w 3"]]) -> Iterator[Shaped[Tensor, "..."]]:
        """The features themselves, since they need the frame before; the first frame has none."""
        return bn_inception_frames.frame_features(self.colour, self.flow, frames)

    def features(self, kept: Sequence[Shaped[Tensor, "..."]]) -> Float[Tensor, "n w"]:
        """1024 values of colour, then 1024 of flow."""
        return torch.stack([*kept])


def frame_network(kind: VisualKind, *, device: torch.device) -> FrameNetwork | None:
    """The network that a kind of picture feature needs, from the cache; None where none is needed.

    Raises InputError where its weights are not installed, with the command that installs them.
    """
    match kind:
        case "motion" | "sight" | "noise" | "none":
            return None
        case "resnet50":
            part = next(iter(open_bundle(_installed(RESNET50)).parts.values()))
            network = build_network(ResNet50Features, ResNet50Config, part, "resnet50", device)
            return ResNet50Frames(network)
        case "bn_inception":
            parts = open_bundle(_installed(BN_INCEPTION)).parts
            if not {"rgb", "flow"} <= set(parts):
                raise WeightsError(
                    f"{BN_INCEPTION}: expected networks rgb and flow, found {', '.join(parts)}: "
                    "convert it again"
                )
            colour, flow = (
                build_network(BNInception, BNInceptionConfig, parts[name], "bn_inception", device)
                for name in ("rgb", "flow")
            )
            return BNInceptionFrames(colour, flow)


def _installed(name: str) -> str:
    if not (cache_dir() / CONVERTED / name).is_dir():
        raise InputError(
            f"this model looks at pictures through {name}, whose weights are not installed: run "
            f"'earsight weights fetch {name}' and 'earsight weights convert {name}'"
        )
    return name
