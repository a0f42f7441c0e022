"""Rendered clips as files: video, exact sound, and truth as JSON, beside one another."""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from earsight.data.foley_room.clip import Clip, ClipTruth
from earsight.data.foley_room.world import FoleyClip
from earsight.errors import InputError
from earsight.files import refuse_existing, write_json
from earsight.media.mux import write_video
from earsight.media.wave_write import write_audio
from earsight.media.waveform import Waveform
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


def write_foley_clip(folder: Path, clip: FoleyClip) -> Path:
    """Render a clip into `folder`: <id>.mp4 with sound, <id>.wav with the exact one, its truth.

    What is there under these names is replaced. The truth comes last: a clip without it is not
    finished. Returns the path of the video.
    """
    video = folder / f"{clip.id}.mp4"
    truth = truth_path(video)
    truth.unlink(missing_ok=True)
    samples = torch.from_numpy(clip.sound)[None]  # pyright: ignore[reportUnknownMemberType]
    sound = Waveform(samples, clip.rate_hz)
    frames = map(_tensor, clip.frames())
    write_video(video, frames, fps=clip.picture.exact_fps, sound=[sound], overwrite=True)
    write_audio(video.with_suffix(".wav"), sound, provenance=None, subtype="PCM_16", overwrite=True)
    write_json(truth, to_plain(clip.truth), overwrite=True)
    return video


def is_finished(video: Path) -> bool:
    """Whether a rendered clip is there with its sound and its truth."""
    return all(path.is_file() for path in (video, video.with_suffix(".wav"), truth_path(video)))


def _tensor(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "h w 3"]:
    return torch.from_numpy(frame)  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)
