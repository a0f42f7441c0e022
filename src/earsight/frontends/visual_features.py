"""From per-frame features to the few rows that condition SpecVQGAN's code transformer.

Ten seconds at 21.5 frames a second are 215 rows; the middle 212 belong to the 848 spectrogram
frames of the model, and 1, 5 or all 212 of them are picked.
Source: SpecVQGAN, sec. 3.3; official repository v-iashin/SpecVQGAN.

Axes: n frames, r rows, d channels.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from earsight.errors import InputError

FEATURE_FPS = 21.5
CLIP_ROWS = 215
MODEL_ROWS = 212
FEATURE_WIDTH = 2048  # ResNet-50, or BN-Inception's 1024 of colour and 1024 of flow


def join_streams(rgb: Float[Tensor, "n d"], flow: Float[Tensor, "m e"]) -> Float[Tensor, "n w"]:
    """BN-Inception's colour and flow features side by side, colour first.

    Raises InputError where the two have different numbers of frames.
    """
    if rgb.shape[0] != flow.shape[0]:
        raise InputError(
            f"{rgb.shape[0]} frames of colour features and {flow.shape[0]} of flow: "
            "make both from the same video"
        )
    return torch.cat([rgb, flow], dim=1)


def fit_rows(features: Float[Tensor, "n d"], num_rows: int = CLIP_ROWS) -> Float[Tensor, "r d"]:
    """Zero rows added at the end, or rows cut: what the training data did."""
    kept = features[:num_rows]
    return functional.pad(kept, (0, 0, 0, num_rows - kept.shape[0]))


def tile_rows(features: Float[Tensor, "n d"], num_rows: int = CLIP_ROWS) -> Float[Tensor, "r d"]:
    """The clip repeated from its start: what the demo and the stored ResNet-50 features did.

    Raises InputError for no frames.
    """
    if features.shape[0] == 0:
        raise InputError("0 feature rows cannot be repeated: at least 1 is needed")
    return features.repeat(1 + num_rows // features.shape[0], 1)[:num_rows]


def crop_rows(features: Float[Tensor, "n d"], num_rows: int = MODEL_ROWS) -> Float[Tensor, "r d"]:
    """The middle rows: 1 to 212 of 215. Raises InputError where there are fewer."""
    found = features.shape[0]
    if found < num_rows:
        raise InputError(f"{found} feature rows, fewer than the {num_rows} to keep: pad them first")
    start = (found - num_rows) // 2
    return features[start : start + num_rows]


def sampled_rows(num_samples: int, *, num_rows: int = MODEL_ROWS) -> Int[Tensor, " s"]:
    """Indices of the rows that are picked: evenly spaced, near the middle of each share.

    The offset is the published one, num_rows // (num_samples + 1), not half a share.
    Raises InputError outside 1..num_rows.
    """
    if not 1 <= num_samples <= num_rows:
        raise InputError(f"{num_samples} rows of {num_rows} wanted: choose 1 to {num_rows}")
    picked = torch.arange(num_samples) * num_rows // num_samples
    return picked + num_rows // (num_samples + 1)


def resample_rows(
    features: Float[Tensor, "n d"], num_samples: int, *, repeats: int = 1
) -> Float[Tensor, "r d"]:
    """`num_samples` rows of the features, each written `repeats` times in a row."""
    rows = sampled_rows(num_samples, num_rows=features.shape[0])
    return features[rows.to(features.device)].repeat_interleave(repeats, dim=0)


def condition_rows(
    features: Float[Tensor, "n d"],
    num_samples: int,
    *,
    repeats: int = 1,
    short: Literal["zeros", "tile"] = "zeros",
) -> Float[Tensor, "r d"]:
    """A clip's features as the transformer takes them: fitted to 215, cropped to 212, picked.

    `short` says what follows a clip of less than ten seconds: zeros as in training, or the clip
    again as in the published demo. Values are not normalised; float32.
    """
    match short:
        case "zeros":
            whole = fit_rows(features.float())
        case "tile":
            whole = tile_rows(features.float())
    return resample_rows(crop_rows(whole), num_samples, repeats=repeats)


def random_rows(
    num_samples: int, *, generator: torch.Generator, width: int = FEATURE_WIDTH
) -> Float[Tensor, "r d"]:
    """Condition of the "no feats" models: fresh uniform noise in [0, 1), drawn on the CPU."""
    return torch.rand(num_samples, width, generator=generator)
