"""Folders of sounds or spectrograms as sets to compare, and the rule that pairs their files.

A sample is named after the clip it was made for: the stem without `_mel`, up to `_sample_`. Where
clips of different classes share names (as in VAS), the class folder is part of the key; samples
lie in folders `cls_<i>`, i being the class's place in the sorted names.
Source: official repository v-iashin/SpecVQGAN (evaluation).

Axes: m mel bands, t frames.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ, NUM_MELS, log_mel
from earsight.media.audio import read_audio

SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac")
MEL_SUFFIX = ".npy"
_SAMPLE = re.compile(r"_sample_(\d+)$")
_CLASS_FOLDER = re.compile(r"cls_(\d+)")


@dataclass(frozen=True, slots=True)
class SetFile:
    """A file of a set, and the clip that it shows or was made for."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class SoundSet:
    """Sounds or spectrograms of a folder, in the order of their paths."""

    folder: Path
    files: tuple[SetFile, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in order, once each."""
        return tuple(dict.fromkeys(file.key for file in self.files))


def clip_stem(path: Path) -> str:
    """Name of the clip that a file shows or was made for: without `_mel` and `_sample_<i>`."""
    return path.stem.partition("_sample_")[0].removesuffix("_mel")


def sample_name(clip: str, index: int) -> str:
    """Official name of a sample, without ending."""
    return f"{clip}_sample_{index}"


def sample_index(path: Path) -> int:
    """Which sample of its clip a file is; 0 where the name does not say."""
    found = _SAMPLE.search(path.stem)
    return int(found.group(1)) if found else 0


def class_of(path: Path, root: Path, class_names: Sequence[str]) -> str | None:
    """Class that a file's folders name, as such or as `cls_<i>`; None where they name none."""
    known = sorted(class_names)
    for part in reversed(path.relative_to(root).parts[:-1]):
        numbered = _CLASS_FOLDER.fullmatch(part)
        if numbered and int(numbered.group(1)) < len(known):
            return known[int(numbered.group(1))]
        if part in known:
            return part
    return None


def open_sets(real: Path, fake: Path) -> tuple[SoundSet, SoundSet]:
    """Two folders with keys that fit each other.

    The class becomes part of the key where stems of the real folder are not unique; classes are
    then the real folder's first-level folders. Raises InputError for folders without sounds.
    """
    real_paths, fake_paths = list_sounds(real), list_sounds(fake)
    stems = Counter(clip_stem(path) for path in real_paths)
    names: list[str] = []
    if any(count > 1 for count in stems.values()):
        names = sorted({path.relative_to(real).parts[0] for path in real_paths})
    return (
        SoundSet(real, _keyed(real_paths, real, names)),
        SoundSet(fake, _keyed(fake_paths, fake, names)),
    )


def open_set(folder: Path, class_names: Sequence[str] = ()) -> SoundSet:
    """One folder; with class names, keys are `<class>/<stem>` where a folder names the class."""
    return SoundSet(folder, _keyed(list_sounds(folder), folder, class_names))


def list_sounds(folder: Path) -> list[Path]:
    """Sounds and spectrograms below a folder, sorted; a spectrogram stands for a sound beside it.

    Raises InputError where there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give one with sounds or spectrograms")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (*SOUND_SUFFIXES, MEL_SUFFIX)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    mels = {path.with_suffix("") for path in found if path.suffix.lower() == MEL_SUFFIX}
    kept = [p for p in found if p.suffix.lower() == MEL_SUFFIX or p.with_suffix("") not in mels]
    if not kept:
        kinds = ", ".join((*SOUND_SUFFIXES, MEL_SUFFIX))
        raise InputError(f"{folder} holds no sounds or spectrograms ({kinds})")
    return kept


def read_mel(path: Path) -> Float[Tensor, "m t"]:
    """Spectrogram in [0, 1] of a sound file, or of a stored one: (80, frames), as float32.

    Raises MediaError for sounds that cannot be read, InputError for arrays that do not fit.
    """
    if path.suffix.lower() != MEL_SUFFIX:
        wave = read_audio(path, rate_hz=MEL_RATE_HZ, mono=True)
        return log_mel(wave.samples, num_frames=None)[0]
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a stored spectrogram: {error}") from error
    if array.ndim != 2 or array.shape[0] != NUM_MELS or array.dtype.kind != "f":
        raise InputError(
            f"{path}: expected floating point numbers of shape ({NUM_MELS}, frames), found "
            f"{array.dtype} {array.shape}"
        )
    if not bool(np.isfinite(array).all()):
        raise InputError(f"{path} holds NaN or infinity: make it again")
    return torch.from_numpy(np.array(array, np.float32))  # pyright: ignore[reportUnknownMemberType]


def _keyed(paths: Iterable[Path], root: Path, class_names: Sequence[str]) -> tuple[SetFile, ...]:
    files: list[SetFile] = []
    for path in paths:
        name = class_of(path, root, class_names) if class_names else None
        stem = clip_stem(path)
        files.append(SetFile(path, stem if name is None else f"{name}/{stem}"))
    return tuple(files)
