"""Rendered clips as files: a silent video, and its truth as JSON beside it."""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from earsight.data.foley_room.clip import Clip, ClipTruth
from earsight.errors import InputError
from earsight.files import refuse_existing, write_json
from earsight.media.mux import write_video
from earsight.settings import from_plain, to_plain


def truth_path(video: Path) -> Path:
    """Where the truth of a rendered video lies."""
    return video.with_suffix(".truth.json")


def write_clip(path: Path, clip: Clip, *, overwrite: bool = False) -> None:
    """Render a clip into a silent video and write its truth beside it."""
    truth = truth_path(path)
    refuse_existing(truth, overwrite=overwrite)
    frames = map(_tensor, clip.frames())
    write_video(path, frames, fps=clip.picture.exact_fps, overwrite=overwrite)
    write_json(truth, to_plain(clip.truth), overwrite=overwrite)


def read_truth(video: Path) -> ClipTruth:
    """The truth of a rendered video."""
    path = truth_path(video)
    if not path.is_file():
        raise InputError(f"{video} has no truth beside it: expected {path.name}, as rendered")
    return from_plain(ClipTruth, json.loads(path.read_text()))


def _tensor(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "h w 3"]:
    return torch.from_numpy(frame)  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)
