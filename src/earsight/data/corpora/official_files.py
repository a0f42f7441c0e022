"""Files of the official SpecVQGAN downloads, shared by VGGSound and VAS: names, lists, arrays.

Feature files are pickles; they are read as data, and nothing in them is executed.
Source: official repository v-iashin/SpecVQGAN.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width.
"""

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.feature_pickles import RESNET50_WIDTH, read_bn_inception, read_features
from earsight.frontends.specvqgan_mel import NUM_MELS
from earsight.media.audio import read_audio_ffmpeg16

MELS = "melspec_10s_22050hz"
RESNET50 = "feature_resnet50_dim2048_21.5fps"
BN_RGB = "feature_rgb_bninception_dim1024_21.5fps"
BN_FLOW = "feature_flow_bninception_dim1024_21.5fps"
CLIP_SECONDS = 10.0
_MEL_SUFFIX = "_mel.npy"
_LISTED = 5


def need_folder(folder: Path, what: str) -> None:
    """Raise InputError where a folder is missing."""
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: expected {what}")


def find_list(folder: Path, name: str) -> Path:
    """A list in the corpus's folder or beside it. Raises InputError that names both places."""
    path = listed_file(folder, name)
    if path is None:
        raise InputError(
            f"{name} is missing: expected {folder / name} or {folder.absolute().parent / name}; it "
            "comes with the official repository v-iashin/SpecVQGAN (folder data)"
        )
    return path


def listed_file(folder: Path, name: str) -> Path | None:
    """A file in the corpus's folder or beside it, None where it is in neither."""
    places = (folder / name, folder.absolute().parent / name)
    return next((path for path in places if path.is_file()), None)


def read_names(path: Path) -> list[str]:
    """Clip names, one a line. Raises InputError for an empty list, repeated or unsafe names."""
    names = path.read_text(encoding="utf-8").split("\n")
    names = [name.strip() for name in names if name.strip()]
    unsafe = [name for name in names if name.startswith("/") or ".." in name.split("/")]
    if unsafe or not names or len(set(names)) != len(names):
        reason = f"{unsafe[0]!r} is no clip's name" if unsafe else "names repeat"
        raise InputError(f"{path}: {reason if names else 'the list is empty'}")
    return names


def mel_names(folder: Path) -> set[str]:
    """Names of the clips that have a spectrogram, from one look at the folder."""
    with os.scandir(folder) as entries:
        return {e.name.removesuffix(_MEL_SUFFIX) for e in entries if e.name.endswith(_MEL_SUFFIX)}


def with_mels(names: list[str], present: set[str], *, only_present: bool) -> list[str]:
    """Listed clips that have a spectrogram; without `only_present` all of them must.

    Raises InputError that names the first ones missing, or where none is left.
    """
    kept = [name for name in names if name in present]
    absent = [name for name in names if name not in present]
    if not kept or (absent and not only_present):
        raise InputError(
            f"{len(absent)} of {len(names)} listed clips have no spectrogram: "
            f"{', '.join(absent[:_LISTED])}; get them, shorten the list, or read the corpus with "
            "only_present=True"
        )
    return kept


def feature_kinds(folder: Path) -> tuple[str, ...]:
    """Kinds of features whose folders are there."""
    kinds = {"resnet50": (RESNET50,), "bn_inception": (BN_RGB, BN_FLOW)}
    return tuple(
        kind for kind, names in kinds.items() if all((folder / name).is_dir() for name in names)
    )


def read_mel(path: Path) -> Float[Tensor, "m t"]:
    """A stored spectrogram (float32 or float64) as float32.

    Raises InputError for a missing file, another shape, or values outside [0, 1].
    """
    need_file(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is no array of numbers ({error}): get it again") from error
    if array.ndim != 2 or array.shape[0] != NUM_MELS or array.dtype.kind != "f":
        raise InputError(
            f"{path}: expected {NUM_MELS} bands of real numbers, found {array.dtype} of shape "
            f"{array.shape}"
        )
    mel = torch.from_numpy(array.astype(np.float32))  # pyright: ignore[reportUnknownMemberType]
    if not bool(((mel >= 0) & (mel <= 1)).all()):
        raise InputError(f"{path}: values outside [0, 1]: it was made by another front end")
    return mel


def read_wave(path: Path) -> Float[Tensor, " s"]:
    """Sound of a video at 22050 Hz, mono in 16 bit."""
    need_file(path)
    return read_audio_ffmpeg16(path).samples[0]


def read_kind(folder: Path, name: str, kind: str) -> Float[Tensor, "n w"]:
    """Stored features of a clip, 2048 wide: 215 rows of ResNet-50, 214 or 216 of BN-Inception.

    Raises InputError for another kind or a missing file.
    """
    match kind:
        case "resnet50":
            return read_features(need_file(folder / RESNET50 / f"{name}.pkl"), width=RESNET50_WIDTH)
        case "bn_inception":
            rgb, flow = (need_file(folder / each / f"{name}.pkl") for each in (BN_RGB, BN_FLOW))
            return read_bn_inception(rgb, flow)
        case _:
            raise InputError(
                f"{folder} has no {kind} features: the official layout holds resnet50 and "
                "bn_inception; 'earsight prepare' makes others from the videos"
            )


def need_file(path: Path) -> Path:
    """The path. Raises InputError where no file is."""
    if not path.is_file():
        raise InputError(f"{path} is missing: get it, or take its clip from the list")
    return path
