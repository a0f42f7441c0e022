"""A corpus whose clips are shared out to the splits anew; all else is the corpus's own.

Axes: m mel bands, t frames, s samples, n picture frames, w feature width, r code rows, c columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jaxtyping import Float, Int
from torch import Tensor

from earsight.data.corpus import ClipRecord, CodedCorpus, Corpus, Split
from earsight.errors import InputError


class RegroupedCorpus:
    """The clips of `corpus` in other splits; a clip may be in several of them, or in none.

    `splits` holds the corpus's own records. A clip is handed back to its corpus as that knows it.
    """

    def __init__(self, corpus: Corpus, splits: Mapping[Split, Sequence[ClipRecord]]) -> None:
        self.corpus = corpus
        self._splits: dict[Split, list[ClipRecord]] = {
            split: [replace(record, split=split) for record in records]
            for split, records in splits.items()
        }
        self._own = {record.id: record for records in splits.values() for record in records}

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return self.corpus.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index; empty without labels."""
        return self.corpus.class_names

    @property
    def feature_kinds(self) -> tuple[str, ...]:
        """Kinds of picture features that the corpus says it has."""
        return tuple(getattr(self.corpus, "feature_kinds", ()))

    @property
    def code_digests(self) -> tuple[str, ...]:
        """Codebooks whose codes the corpus keeps."""
        return self.corpus.code_digests if isinstance(self.corpus, CodedCorpus) else ()

    def records(self, split: Split) -> Sequence[ClipRecord]:
        """Clips that are in the split now."""
        return self._splits.get(split, [])

    def mel(self, record: ClipRecord) -> Float[Tensor, "m t"]:
        """The corpus's spectrogram."""
        return self.corpus.mel(self.own(record))

    def wave(self, record: ClipRecord) -> Float[Tensor, " s"]:
        """The corpus's sound."""
        return self.corpus.wave(self.own(record))

    def features(self, record: ClipRecord, kind: str) -> Float[Tensor, "n w"]:
        """The corpus's picture features."""
        return self.corpus.features(self.own(record), kind)

    def codes(self, record: ClipRecord, digest: str) -> Int[Tensor, "r c"]:
        """The corpus's codes. Raises InputError where it keeps none."""
        if not isinstance(self.corpus, CodedCorpus):
            raise InputError(f"{self.name} keeps no codes: prepare it with --codes MODEL")
        return self.corpus.codes(self.own(record), digest)

    def own(self, record: ClipRecord) -> ClipRecord:
        """The clip as its corpus knows it. Raises InputError for a clip of another one."""
        if record.id not in self._own:
            raise InputError(f"clip {record.id!r} is not of {self.name}: take records from it")
        return self._own[record.id]
