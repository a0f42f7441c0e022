"""VGGSound in the layout of the official SpecVQGAN downloads, and its class names.

A folder holds `melspec_10s_22050hz/<clip>_mel.npy`, feature folders with `<clip>.pkl`, and
`video/<clip>.mp4`; the lists `vggsound.csv` and `vggsound_{train,valid,test}.txt` lie in it or
beside it. A clip is named `<YouTube id>_<start ms>_<end ms>`; the id is its first 11 characters.
Source: Chen, Xie, Vedaldi, Zisserman, "VGGSound: a large-scale audio-visual dataset", 2020
(annotations under CC BY 4.0); layout of the official repository v-iashin/SpecVQGAN.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width.
"""

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from earsight.data.class_lists import stored_names
from earsight.data.corpora import official_files as files
from earsight.data.corpus import ClipRecord, Split
from earsight.errors import InputError

CLASSES_SHA256 = "45c537f971c8ea8e175c8cebd4bdd2b4c4f579dd4e3c4309e4be6e482168b871"
LABELS_FILE = "vggsound.csv"
ID_CHARACTERS = 11
PUBLISHED_SPLITS: dict[Split, int] = {"train": 156_487, "valid": 19_056, "test": 14_512}
"""Clips in the published lists."""


def class_names() -> tuple[str, ...]:
    """The 309 classes; a name's place is its id in every published model.

    Sorted as plain ASCII, names may contain commas. Raises InputError where the stored list was
    changed.
    """
    return stored_names("vggsound_classes.txt", sha256=CLASSES_SHA256)


def read_labels(path: Path) -> dict[str, str]:
    """Label of every YouTube id, from the corpus's table without header: id, start, label, split.

    Raises InputError that names the rows that do not fit.
    """
    labels: dict[str, str] = {}
    wrong: list[str] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if len(row) != 4 or len(row[0]) != ID_CHARACTERS or not row[2]:
                wrong.append(f"line {number} ({','.join(row)[:40]})")
            else:
                labels[row[0]] = row[2]
    if wrong or not labels:
        raise InputError(
            f"{path}: expected rows of id, start, label, split; {len(wrong)} of them do not fit: "
            f"{', '.join(wrong[:5]) or 'the table is empty'}"
        )
    return labels


class VGGSound:
    """The official folder as a corpus. Spectrograms are those of 10 s that were published.

    With `only_present`, listed clips without a spectrogram are left out (`absent` counts them);
    else they are an error when a split is read. Raises InputError where the folder or the table
    of labels is missing.
    """

    name = "vggsound"

    def __init__(self, folder: str | Path, *, only_present: bool = False) -> None:
        self.folder = Path(folder)
        self.absent: dict[Split, int] = {}
        self._only_present = only_present
        self._splits: dict[Split, list[ClipRecord]] = {}
        files.need_folder(self.folder / files.MELS, "VGGSound in the official layout")
        self._labels = read_labels(files.find_list(self.folder, LABELS_FILE))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The published 309 names; the sorted labels of the table where it has others."""
        return self._class_names

    @property
    def feature_kinds(self) -> tuple[str, ...]:
        """Kinds of features whose folders are there."""
        return files.feature_kinds(self.folder)

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of the split's list, in its order."""
        if split not in self._splits:
            names = files.read_names(files.find_list(self.folder, f"vggsound_{split}.txt"))
            kept = files.with_mels(names, self._mel_names, only_present=self._only_present)
            self.absent[split] = len(names) - len(kept)
            self._splits[split] = self._records(kept, split)
        return self._splits[split]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """The published spectrogram, 860 frames."""
        return files.read_mel(self.folder / files.MELS / f"{record.id}_mel.npy")

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Sound of the video, as the published preparation read it."""
        return files.read_wave(record.source)

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Published features: "resnet50" or "bn_inception" (colour and flow side by side)."""
        return files.read_kind(self.folder, record.id, kind)

    @cached_property
    def _class_names(self) -> tuple[str, ...]:
        found = set(self._labels.values())
        return class_names() if found <= set(class_names()) else tuple(sorted(found))

    @cached_property
    def _mel_names(self) -> set[str]:
        return files.mel_names(self.folder / files.MELS)

    def _records(self, names: list[str], split: Split) -> list[ClipRecord]:
        places = {name: index for index, name in enumerate(self.class_names)}
        unlabelled = [name for name in names if name[:ID_CHARACTERS] not in self._labels]
        if unlabelled:
            raise InputError(
                f"{LABELS_FILE} has no label for {len(unlabelled)} clips of the {split} list: "
                f"{', '.join(unlabelled[:5])}"
            )
        return [
            ClipRecord(
                id=name,
                split=split,
                class_index=places[self._labels[name[:ID_CHARACTERS]]],
                class_name=self._labels[name[:ID_CHARACTERS]],
                seconds=files.CLIP_SECONDS,
                source=self.folder / "video" / f"{name}.mp4",
            )
            for name in names
        ]
