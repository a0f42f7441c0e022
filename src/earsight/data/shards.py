"""Tar shards of prepared clips as a corpus, read without unpacking.

The format is that of webdataset: a clip is a run of members `<key>.<kind>`, the key without a dot.
Kinds are `json` (the clip's line of the manifest, and the kinds of its members), `mel.npy`,
`wave.flac` or `wave.wav`, `features-<kind>.npy` and `codes-<digest>.npy`. `shards.json` beside
the shards holds the corpus's card. Only these kinds are read, each by its own reader; nothing is
unpickled, no address is opened, and nothing is unpacked. The standard library's tar is enough.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width, r code rows, c columns.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from earsight.data.corpus import SPLITS, ClipRecord, Split
from earsight.data.prepared import from_line
from earsight.data.shard_members import WAVES, Member, member_array, read_members
from earsight.errors import InputError
from earsight.extras import require
from earsight.frontends.specvqgan_mel import MEL_RATE_HZ, NUM_MELS
from earsight.media.resample import resample
from earsight.media.waveform import Waveform

CARD_FILE = "shards.json"


class ShardCorpus:
    """Shards in a local folder as a corpus.

    Clips that are cut short, damaged or not whole are left out; `skipped` holds each one's name
    with the reason. Raises InputError for a folder without card or shards, and where not one
    clip is whole.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.card = _read_card(self.folder)
        self.skipped: list[tuple[str, str]] = []
        self._members: dict[str, dict[str, Member]] = {}
        self._splits: dict[Split, list[ClipRecord]] = {split: [] for split in SPLITS}
        for shard in map(str, self.card["shards"]):
            self._take_in(self.folder / Path(shard).name)
        if not self._members:
            told = "; ".join(f"{name}: {reason}" for name, reason in self.skipped[:3])
            raise InputError(f"{self.folder}: not one clip of its shards is whole ({told})")

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return str(self.card["name"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index; empty without labels."""
        return tuple(map(str, self.card["class_names"]))

    @property
    def feature_kinds(self) -> tuple[str, ...]:
        """Kinds of picture features that every clip with a picture has."""
        return tuple(map(str, self.card["feature_kinds"]))

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Whole clips of a split, in the shards' order."""
        return self._splits[split]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """Log-mel spectrogram in [0, 1] of the true length, float32."""
        array = member_array(self._member(record, "mel.npy"))
        if array.ndim != 2 or array.shape[0] != NUM_MELS:
            raise InputError(f"{record.id}: expected {NUM_MELS} bands, found shape {array.shape}")
        return _tensor(array.astype(np.float32))

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Mono sound at 22050 Hz."""
        kinds = self._members.get(record.id, {})
        kind = next((f"wave{suffix}" for suffix in WAVES if f"wave{suffix}" in kinds), "wave.flac")
        member = self._member(record, kind)
        soundfile = require("soundfile", extra="media", purpose="reading sound")
        try:
            samples, rate = soundfile.read(
                io.BytesIO(member.read()), dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise InputError(f"{member.shard}, {member.name}: no sound ({error})") from error
        wave = Waveform(_tensor(np.ascontiguousarray(samples.T)), int(rate)).mono()
        return resample(wave, MEL_RATE_HZ).samples[0]

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Picture features, 21.5 rows a second, float32."""
        return _tensor(
            member_array(self._member(record, f"features-{kind}.npy")).astype(np.float32)
        )

    def codes(self, record: ClipRecord, digest: str) -> Int[Tensor, "r c"]:
        """Codes under the codebook that `digest` names."""
        return _tensor(member_array(self._member(record, f"codes-{digest}.npy")).astype(np.int64))

    def _member(self, record: ClipRecord, kind: str) -> Member:
        kinds = self._members.get(record.id, {})
        if kind not in kinds:
            raise InputError(
                f"clip {record.id!r} of {self.folder} has no {kind} (it has: "
                f"{', '.join(sorted(kinds)) or 'nothing'}): prepare it with that, write shards anew"
            )
        return kinds[kind]

    def _take_in(self, shard: Path) -> None:
        clips: dict[str, dict[str, Member]] = {}
        broken: dict[str, str] = {}
        try:
            for member, problem in read_members(shard):
                key, _, kind = member.name.partition(".")
                clips.setdefault(key, {})[kind] = member
                if problem:
                    broken[key] = f"{kind} {problem}"
        except (tarfile.TarError, OSError, EOFError) as error:
            self.skipped.append((shard.name, f"cannot be read on ({error})"))
        for key, kinds in clips.items():
            record = broken.get(key) or self._record(kinds)
            if isinstance(record, ClipRecord):
                self._members[record.id] = kinds
                self._splits[record.split].append(record)
            else:
                self.skipped.append((f"{shard.name}/{key}", record))

    def _record(self, kinds: dict[str, Member]) -> ClipRecord | str:
        """The clip that members make up, or why they do not."""
        if "json" not in kinds:
            return "json is missing"
        try:
            line = json.loads(kinds["json"].read())
            missing = [kind for kind in line["members"] if kind not in kinds]
            record = from_line(line, self.folder)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"json is no clip ({error})"
        if missing:
            return f"{', '.join(missing)} missing"
        return "its id is there already" if record.id in self._members else record


def is_shards(folder: Path) -> bool:
    """Whether a folder holds shards with their card."""
    return (folder / CARD_FILE).is_file()


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array)  # pyright: ignore[reportUnknownMemberType]  (untyped in torch)


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    if not path.is_file():
        raise InputError(f"{folder} holds no shards: {CARD_FILE} is missing, write them again")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        names = [str(card[key]) for key in ("name", "class_names", "feature_kinds", "shards")]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): write the shards again") from error
    absent = [name for name in card["shards"] if not (folder / Path(str(name)).name).is_file()]
    if absent or not names:
        raise InputError(
            f"{folder}: {len(absent)} shards are missing: {', '.join(map(str, absent[:5]))}"
        )
    return cast(dict[str, Any], card)
