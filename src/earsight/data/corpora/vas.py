"""VAS, the visually aligned sounds, in the layout of the official SpecVQGAN downloads.

A folder holds `features/<class>/<kind>/video_xxxxx{_mel.npy,.pkl}` and `videos/<class>/
video_xxxxx.mp4`; the lists `vas_train.txt` and `vas_valid.txt`, in it or beside it, name clips
`<class>/video_xxxxx`. There is no test split.
Source: Chen et al., "Generating visually aligned sound from videos", 2020; layout of the official
repository v-iashin/SpecVQGAN.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from earsight.data.corpora import official_files as files
from earsight.data.corpus import ClipRecord, Split
from earsight.errors import InputError

CLASS_NAMES = ("baby", "cough", "dog", "drum", "fireworks", "gun", "hammer", "sneeze")
"""A name's place is its id in every published model: the names sorted."""
PUBLISHED_SPLITS: dict[Split, int] = {"train": 11_773, "valid": 768, "test": 0}
"""Clips in the published lists."""


class VAS:
    """The official folder as a corpus. Spectrograms are those of 10 s that were published.

    Shorter videos were repeated to 10 s before their spectrogram was made. `only_present` as in
    `VGGSound`. Raises InputError where the folder is missing.
    """

    name = "vas"

    def __init__(self, folder: str | Path, *, only_present: bool = False) -> None:
        self.folder = Path(folder)
        self.absent: dict[Split, int] = {}
        self._only_present = only_present
        self._splits: dict[Split, list[ClipRecord]] = {}
        files.need_folder(self.folder / "features", "VAS in the official layout")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The published 8 names; the sorted names of the folders where there are others."""
        found = set(self._class_folders)
        return CLASS_NAMES if found <= set(CLASS_NAMES) else tuple(sorted(found))

    @property
    def feature_kinds(self) -> tuple[str, ...]:
        """Kinds of features whose folders every class has."""
        kinds = [set(files.feature_kinds(path)) for path in self._class_folders.values()]
        shared = set[str].intersection(*kinds) if kinds else set[str]()
        return tuple(sorted(shared))

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of the split's list, in its order; none for "test", which VAS does not have."""
        if split == "test":
            return []
        if split not in self._splits:
            path = files.find_list(self.folder, f"vas_{split}.txt")
            names = files.read_names(path)
            wrong = [name for name in names if name.count("/") != 1]
            if wrong:
                raise InputError(f"{path}: {wrong[0]!r} is not <class>/video_xxxxx")
            kept = files.with_mels(names, self._mel_names, only_present=self._only_present)
            self.absent[split] = len(names) - len(kept)
            self._splits[split] = [self._record(name, split) for name in kept]
        return self._splits[split]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """The published spectrogram, 860 frames."""
        folder, name = self._place(record)
        return files.read_mel(folder / files.MELS / f"{name}_mel.npy")

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Sound of the video, of its own length."""
        return files.read_wave(record.source)

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Published features: "resnet50" or "bn_inception" (colour and flow side by side)."""
        folder, name = self._place(record)
        return files.read_kind(folder, name, kind)

    @cached_property
    def _class_folders(self) -> dict[str, Path]:
        entries = sorted((self.folder / "features").iterdir())
        return {path.name: path for path in entries if path.is_dir()}

    @cached_property
    def _mel_names(self) -> set[str]:
        return {
            f"{class_name}/{name}"
            for class_name, path in self._class_folders.items()
            if (path / files.MELS).is_dir()
            for name in files.mel_names(path / files.MELS)
        }

    def _place(self, record: ClipRecord) -> tuple[Path, str]:
        class_name, _, name = record.id.partition("/")
        return self.folder / "features" / class_name, name

    def _record(self, name: str, split: Split) -> ClipRecord:
        class_name = name.partition("/")[0]
        return ClipRecord(
            id=name,
            split=split,
            class_index=self.class_names.index(class_name),
            class_name=class_name,
            seconds=files.CLIP_SECONDS,
            source=self.folder / "videos" / f"{name}.mp4",
        )
