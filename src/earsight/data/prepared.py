"""A prepared folder as a corpus: arrays are mapped, nothing is opened until asked for.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width, r code rows, c columns.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from earsight.data.corpus import SPLITS, ClipRecord, Split
from earsight.data.prepared_layout import (
    COMPLETE_FILE,
    CORPUS_FILE,
    FORMAT,
    FRONT_END,
    MANIFEST_FILE,
    PATH_NOTES,
    check_id,
    codes_path,
    feature_path,
    mel_path,
    sound_path,
)
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ, NUM_MELS
from earsight.media.audio import read_audio

_CARD_KEYS = ("name", "kind", "class_names", "feature_kinds")


class PreparedCorpus:
    """What `earsight prepare` wrote, read clip by clip.

    Raises InputError for a folder that is not one or not finished, naming what is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        self.card = _read_card(self.folder)

    @property
    def name(self) -> str:
        """Name that was given when it was prepared."""
        return str(self.card["name"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index; empty without labels."""
        return tuple(map(str, self.card["class_names"]))

    @property
    def feature_kinds(self) -> tuple[str, ...]:
        """Kinds of picture features that every clip with a picture has."""
        return tuple(map(str, self.card["feature_kinds"]))

    @property
    def code_digests(self) -> tuple[str, ...]:
        """Codebooks whose codes are there, by the beginning of their weights' hash."""
        return tuple(map(str, self.card.get("codes", {})))

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of a split in the manifest's order."""
        return self._by_split[split]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """Log-mel spectrogram in [0, 1] of the true length, float32."""
        path = mel_path(self.folder, record.id)
        array = _mapped(path, self.folder)
        if array.ndim != 2 or array.shape[0] != NUM_MELS:
            raise InputError(f"{path}: expected {NUM_MELS} bands, found shape {array.shape}")
        return _tensor(array.astype(np.float32))

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Mono sound at 22050 Hz: the clip's own exact wav where it has one."""
        path = sound_path(self.folder, record)
        if not path.is_file():
            raise _missing(path, self.folder)
        return read_audio(path, rate_hz=MEL_RATE_HZ, mono=True).samples[0]

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Picture features, 21.5 rows a second, float32."""
        if kind not in self.feature_kinds:
            known = ", ".join(self.feature_kinds) or "none"
            raise InputError(
                f"{self.folder} has no {kind} features (it has: {known}): run 'earsight prepare' "
                f"again with --features {kind}"
            )
        return _tensor(
            _mapped(feature_path(self.folder, kind, record.id), self.folder).astype("f4")
        )

    def codes(self, record: ClipRecord, digest: str) -> Int[Tensor, "r c"]:
        """Codes of the whole code columns of a clip, under the codebook that `digest` names."""
        if digest not in self.code_digests:
            known = ", ".join(self.code_digests) or "none"
            raise InputError(
                f"{self.folder} has no codes of codebook {digest} (it has: {known}): run "
                "'earsight prepare' again with --codes MODEL"
            )
        return _tensor(
            _mapped(codes_path(self.folder, digest, record.id), self.folder).astype("i8")
        )

    @cached_property
    def _by_split(self) -> dict[Split, list[ClipRecord]]:
        return read_manifest(self.folder)


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared one, finished or not."""
    return (folder / CORPUS_FILE).is_file() and (folder / MANIFEST_FILE).is_file()


def read_manifest(folder: Path) -> dict[Split, list[ClipRecord]]:
    """Records of every split. Raises InputError that names the line that does not fit."""
    path = folder / MANIFEST_FILE
    found: dict[Split, list[ClipRecord]] = {split: [] for split in SPLITS}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = from_line(json.loads(line), folder)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{path}, line {number}: not a clip ({type(error).__name__}: {error}): prepare "
                    "the corpus again"
                ) from error
            found[record.split].append(record)
    return found


def from_line(line: Mapping[str, Any], folder: Path) -> ClipRecord:
    """A record from its line of the manifest; raises ValueError, KeyError or TypeError."""
    if line["split"] not in get_args(Split):
        raise InputError(f"split {line['split']!r} is none of {', '.join(SPLITS)}")
    notes = {
        key: str(_inside(folder, value)) if key in PATH_NOTES else value
        for key, value in line["notes"].items()
    }
    index, name = line["class_index"], line["class_name"]
    return ClipRecord(
        id=check_id(line["id"]),
        split=line["split"],
        class_index=None if index is None else int(index),
        class_name=None if name is None else str(name),
        seconds=float(line["seconds"]),
        source=_inside(folder, line["source"]),
        notes=notes,
    )


def _inside(folder: Path, relative: str) -> Path:
    return Path(os.path.normpath(folder.resolve() / relative))


def _read_card(folder: Path) -> dict[str, Any]:
    missing = [name for name in (CORPUS_FILE, MANIFEST_FILE) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is no prepared corpus, {' and '.join(missing)} missing: run "
            f"'earsight prepare CORPUS --output {folder}'"
        )
    if not (folder / COMPLETE_FILE).is_file():
        raise InputError(
            f"{folder} is not finished ({COMPLETE_FILE} is missing): run the same "
            "'earsight prepare' again, it goes on where it stopped"
        )
    path = folder / CORPUS_FILE
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): prepare the corpus again") from error
    card = cast(dict[str, Any], read) if isinstance(read, dict) else {}
    problems = [f"no {key}" for key in _CARD_KEYS if key not in card]
    if card.get("format") != FORMAT:
        problems.append(f"format {card.get('format')!r}, expected {FORMAT}")
    if card.get("front_end") != FRONT_END:
        problems.append(f"front end {card.get('front_end')!r}, expected {FRONT_END!r}")
    if problems:
        raise InputError(f"{path}: {'; '.join(problems)}: prepare the corpus again")
    return card


def _mapped(path: Path, folder: Path) -> NDArray[Any]:
    if not path.is_file():
        raise _missing(path, folder)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"{path} is damaged ({error}): remove it and {folder / COMPLETE_FILE}, prepare again"
        ) from error


def _missing(path: Path, folder: Path) -> InputError:
    return InputError(
        f"{path} is missing, though {folder / MANIFEST_FILE} lists it: run 'earsight prepare' "
        "again, it makes what is missing"
    )


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array)  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)
