"""The perceptual distance that a codebook is trained against: none, as published, or calibrated.

"random" is what the official code runs: a network and signed channel weights that were never
trained, with dropout. "trained" takes the convolutions of a sound classifier, and channel weights
that are never negative, fitted so that a stronger distortion of a clip is further away than a
weaker one of the same kind. Their scale is set so that the distance of the distorted clips is on
average their mean absolute error: a weight of 1 then means as much as the L1 term.
Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features", 2018, sec. 3 (non-negative
channel weights learned from ranked distortions); SpecVQGAN, sec. 3.1.

Axes: b clips, m mel bands, t frames, k kinds of distortion, s strengths, n channels of all slices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from earsight.errors import ConfigError, WeightsError
from earsight.generate.bundles import open_bundle
from earsight.models.mel_vqgan.perceptual import LPAPS, LPAPSConfig
from earsight.models.vggishish.config import VGGishishConfig
from earsight.settings import from_plain

FAMILY = "vggishish"
STRENGTHS = (0.15, 0.3, 0.55, 1.0)
MARGIN_SHARE = 0.1  # of the mean error: how far apart two strengths ought to be
NUM_HELD_OUT = 4  # every fourth clip is kept for the score


@dataclass(frozen=True, kw_only=True, slots=True)
class DistanceSettings:
    """Which distance, and how it is made.

    `sizes` are those of a random network; a trained one has the sizes of the classifier in the
    model folder (or of the name) `network`. `num_clips` spectrograms of `num_frames` are distorted
    for the calibration, which takes `num_steps` steps of Adam.
    """

    kind: Literal["none", "random", "trained"] = "none"
    sizes: LPAPSConfig = field(default_factory=LPAPSConfig)
    network: str | None = None
    num_clips: int = 48
    num_frames: int = 208
    num_steps: int = 300
    rate: float = 0.05

    def __post_init__(self) -> None:
        if (self.kind == "trained") != (self.network is not None):
            raise ConfigError(
                f"distance '{self.kind}' and network {self.network!r}: a trained distance, and no "
                "other, needs the model folder of a vggishish classifier"
            )


@dataclass(frozen=True, slots=True)
class Calibration:
    """Share of pairs of distorted held-out clips in the right order: equal weights, fitted ones."""

    before: float
    after: float


def random_distance(sizes: LPAPSConfig) -> LPAPS:
    """The distance as officially run, in training mode: dropout is active.

    Draws from torch's global generator, as network constructors do.
    """
    return LPAPS(sizes).train()


def trained_distance(source: str) -> LPAPS:
    """The distance of a classifier's convolutions, strictly loaded, with equal channel weights.

    Raises WeightsError for a folder of another family or another layout.
    """
    bundle = open_bundle(source)
    part = next((part for part in bundle.parts.values() if part.family == FAMILY), None)
    if part is None:
        raise WeightsError(
            f"{source}: expected a {FAMILY} classifier, found {', '.join(bundle.parts)}"
        )
    levels = from_plain(VGGishishConfig, part.config).levels
    if any(len(set(level)) != 1 for level in levels):
        raise WeightsError(f"{source}: convolutions of one level differ in width: {levels}")
    sizes = LPAPSConfig(
        widths=tuple(level[0] for level in levels),
        convs_per_slice=tuple(len(level) for level in levels),
    )
    distance = LPAPS(sizes)
    own = distance.state_dict()
    own.update(slice_entries(part.tensors, sizes))
    own.update({name: torch.ones_like(v) for name, v in own.items() if name.startswith("weights.")})
    distance.load_state_dict(own, strict=True)
    return distance.eval()


def slice_entries(tensors: Mapping[str, Tensor], sizes: LPAPSConfig) -> dict[str, Tensor]:
    """A classifier's convolutions under the names of the distance's slices.

    Raises WeightsError for convolutions that are missing or left over.
    """
    names = [(i, j) for i, count in enumerate(sizes.convs_per_slice) for j in range(count)]
    found: dict[str, Tensor] = {}
    for position, (i, j) in enumerate(names):
        for kind in ("weight", "bias"):
            if (name := f"convs.{position}.{kind}") not in tensors:
                raise WeightsError(f"a classifier for the distance lacks {name}")
            found[f"slices.{i}.convs.{j}.{kind}"] = tensors[name]
    if f"convs.{len(names)}.weight" in tensors:
        raise WeightsError(f"a classifier for the distance has more than {len(names)} convolutions")
    return found


def calibrate(
    distance: LPAPS,
    mel: Float[Tensor, "b 1 m t"],
    settings: DistanceSettings,
    *,
    generator: torch.Generator,
) -> Calibration:
    """Fit the channel weights of `distance`, in place, to rank distortions of spectrograms.

    Every fourth clip is kept for the scores. Raises ConfigError for fewer than four clips.
    """
    if mel.shape[0] < NUM_HELD_OUT:
        raise ConfigError(f"calibrating a distance needs {NUM_HELD_OUT} clips, got {mel.shape[0]}")
    features, errors = _distorted(distance, mel, generator)  # (k, s, b, n), (k, s, b)
    held = torch.arange(mel.shape[0]) % NUM_HELD_OUT == NUM_HELD_OUT - 1
    train, level = features[:, :, ~held], errors[:, :, ~held].mean()
    raw = torch.zeros(features.shape[3], device=features.device, requires_grad=True)
    optimizer = torch.optim.Adam([raw], settings.rate)
    for _ in range(settings.num_steps):
        gaps = _gaps(train @ _scaled(raw, train, level))
        loss = F.softplus(-gaps / (MARGIN_SHARE * level)).mean()
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType] torch leaves it untyped
        optimizer.step()
    weights = _scaled(raw.detach(), train, level)
    scores = [
        float((_gaps(features[:, :, held] @ w) > 0).float().mean())
        for w in (torch.ones_like(weights), weights)
    ]
    _set_weights(distance, weights)
    return Calibration(*scores)


def distortions(
    mel: Float[Tensor, "b 1 m t"], strength: float, noise: Float[Tensor, "b 1 m t"]
) -> list[Float[Tensor, "b 1 m t"]]:
    """Spectrograms in [-1, 1] spoiled in six ways: the kinds that training meets.

    Noise, blur over time, blur over bands, louder or softer, late, with gaps. `strength` is in
    [0, 1]; `noise` is standard normal and shared by all strengths.
    """
    long, wide = 1 + 2 * round(8 * strength), 1 + 2 * round(5 * strength)
    gain = 0.4 * strength * noise.mean(dim=(1, 2, 3), keepdim=True).sign()
    coarse = F.interpolate(noise[..., ::8, ::8], mel.shape[2:], mode="nearest")
    spoiled = [
        mel + 0.4 * strength * noise,
        F.avg_pool2d(mel, (1, long), 1, (0, long // 2), count_include_pad=False),
        F.avg_pool2d(mel, (wide, 1), 1, (wide // 2, 0), count_include_pad=False),
        mel + gain,
        torch.roll(mel, max(1, round(16 * strength)), dims=3),
        torch.where(coarse > 2 - 2 * strength, -torch.ones_like(mel), mel),
    ]
    return [x.clamp(-1, 1) for x in spoiled]


@torch.no_grad()
def _distorted(
    distance: LPAPS, mel: Tensor, generator: torch.Generator
) -> tuple[Float[Tensor, "k s b n"], Float[Tensor, "k s b"]]:
    noise = torch.randn(mel.shape, generator=generator).to(mel.device)
    features: list[Tensor] = []
    errors: list[Tensor] = []
    for strength in STRENGTHS:
        spoiled = distortions(mel, strength, noise)
        found = [_in_parts(distance.channel_distances, mel, other) for other in spoiled]
        features.append(torch.stack(found))
        errors.append(torch.stack([(mel - o).abs().mean(dim=(1, 2, 3)) for o in spoiled]))
    return torch.stack(features, dim=1), torch.stack(errors, dim=1)


def _in_parts(
    of: Callable[[Tensor, Tensor], Tensor], mel: Tensor, other: Tensor, size: int = 8
) -> Tensor:
    starts = range(0, mel.shape[0], size)
    return torch.cat([of(mel[i : i + size], other[i : i + size]) for i in starts])


def _scaled(raw: Tensor, features: Tensor, level: Tensor) -> Float[Tensor, " n"]:
    """Positive weights under which the mean distance is the mean error."""
    weights = F.softplus(raw)
    return weights * (level / (features @ weights).mean())


def _gaps(distance: Float[Tensor, "k s b"]) -> Float[Tensor, " p"]:
    """How much further away the stronger of every two strengths is."""
    num = distance.shape[1]
    pairs = [(low, high) for low in range(num) for high in range(low + 1, num)]
    gaps = [distance[:, high] - distance[:, low] for low, high in pairs]
    return torch.stack(gaps).flatten()


@torch.no_grad()
def _set_weights(distance: LPAPS, weights: Float[Tensor, " n"]) -> None:
    start = 0
    for conv in distance.weights:
        target = conv.weight
        assert isinstance(target, Tensor)
        target.copy_(weights[start : start + target.numel()].view_as(target))
        start += target.numel()
