"""Several corpora as one, with one list of classes.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width.
"""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from earsight.data.corpus import ClipRecord, Corpus, Split
from earsight.errors import InputError


class JoinedCorpus:
    """Clips of several corpora, one corpus after the other.

    Classes are merged by name, in the order in which names first occur; a class that two corpora
    share is one class. A clip's id begins with its corpus's name (and number, where names
    repeat), so that ids never clash. Raises InputError for no corpora.
    """

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        if not corpora:
            raise InputError("no corpora to join: give at least one")
        names = [corpus.name for corpus in corpora]
        keys = [
            name if names.count(name) == 1 else f"{name}-{place}"
            for place, name in enumerate(names)
        ]
        self._corpora = dict(zip(keys, corpora, strict=True))
        merged = dict.fromkeys(name for corpus in corpora for name in corpus.class_names)
        self._class_names = tuple(merged)
        self._splits: dict[Split, list[ClipRecord]] = {}
        self._origin: dict[str, tuple[Corpus, ClipRecord]] = {}

    @property
    def name(self) -> str:
        """Names of the corpora, joined by "+"."""
        return "+".join(self._corpora)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes, by index."""
        return self._class_names

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips of a split of all corpora; their class indices are those of the joined list."""
        if split not in self._splits:
            found: list[ClipRecord] = []
            for key, corpus in self._corpora.items():
                for record in corpus.records(split):
                    joined = self._joined(key, record)
                    self._origin[joined.id] = (corpus, record)
                    found.append(joined)
            self._splits[split] = found
        return self._splits[split]

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """Spectrogram from the clip's own corpus."""
        corpus, own = self._own(record)
        return corpus.mel(own)

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """Sound from the clip's own corpus."""
        corpus, own = self._own(record)
        return corpus.wave(own)

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """Picture features from the clip's own corpus."""
        corpus, own = self._own(record)
        return corpus.features(own, kind)

    def origin(self, record: ClipRecord) -> tuple[Corpus, ClipRecord]:
        """The corpus that a clip comes from, and the clip as that corpus knows it."""
        return self._own(record)

    def _joined(self, key: str, record: ClipRecord) -> ClipRecord:
        name = record.class_name
        index = None if name is None else self._class_names.index(name)
        return replace(record, id=f"{key}/{record.id}", class_index=index)

    def _own(self, record: ClipRecord) -> tuple[Corpus, ClipRecord]:
        self.records(record.split)
        if record.id not in self._origin:
            raise InputError(f"clip {record.id!r} is not of {self.name}: take records from it")
        return self._origin[record.id]
