"""Folds and few labels: which clips are where, and that each still reads as its corpus's own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.data import prepared_layout as layout
from earsight.data.corpus import SPLITS, ClipRecord, CodedCorpus, Corpus, Split
from earsight.data.few_labels import FewLabels
from earsight.data.folds import FoldedCorpus, folds_of
from earsight.data.joined import JoinedCorpus
from earsight.data.prepared import PreparedCorpus
from earsight.errors import InputError
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio

SPLIT_OF_FOLD: dict[int, Split] = {1: "train", 2: "train", 3: "valid", 4: "test"}


def prepared(folder: Path, *, folds: bool = True, name: str = "four") -> PreparedCorpus:
    """Two classes of four clips, one of each in every fold; clip n sounds like n."""
    records: list[ClipRecord] = []
    for number in range(8):
        clip_id, fold = f"clip{number}", number // 2 + 1
        values = np.full((80, 20), number / 8, dtype=np.float16)
        layout.save_array(layout.mel_path(folder, clip_id), values)
        layout.save_array(layout.feature_path(folder, "motion", clip_id), values[:2].T)
        layout.save_array(layout.codes_path(folder, "abc", clip_id), values[:5].astype(np.uint16))
        wave = Waveform(torch.full((1, 8), number / 16), 22050)
        path = layout.wave_path(folder, clip_id)
        write_audio(path, wave, provenance=None, subtype="PCM_16")
        records.append(
            ClipRecord(
                id=clip_id,
                split=SPLIT_OF_FOLD[fold],
                class_index=number % 2,
                class_name="ab"[number % 2],
                seconds=1.0,
                source=folder / "x.wav",
                notes={"fold": fold} if folds else {},
            )
        )
    card = {"name": name, "kind": "x", "class_names": ["a", "b"], "feature_kinds": ["motion"]}
    layout.complete(folder, records, card | {"codes": {"abc": {}}})
    return PreparedCorpus(folder)


def ids(corpus: Corpus, split: Split) -> list[str]:
    return [record.id for record in corpus.records(split)]


@pytest.mark.parametrize(
    ("fold", "valid", "train", "held_out", "test"),
    [
        (4, "test", "012345", "67", "67"),
        (4, "next", "2345", "01", "67"),
        (2, "next", "0167", "45", "23"),
    ],
)
def test_folds_decide_the_splits(
    tmp_path: Path, fold: int, valid: str, train: str, held_out: str, test: str
) -> None:
    corpus = prepared(tmp_path)
    assert folds_of(corpus) == (1, 2, 3, 4)
    folded = FoldedCorpus(corpus, fold, valid="next" if valid == "next" else "test")
    for split, wanted in zip(SPLITS, (train, held_out, test), strict=True):
        assert ids(folded, split) == [f"clip{number}" for number in wanted]
        assert all(record.split == split for record in folded.records(split))


def test_clips_read_as_before_alone_and_joined(tmp_path: Path) -> None:
    plain = prepared(tmp_path / "plain", folds=False, name="plain")
    folded = FoldedCorpus(prepared(tmp_path / "folds"), 1)
    joined = FoldedCorpus(JoinedCorpus([folded.corpus, plain]), 1)
    for corpus in (folded, joined, JoinedCorpus([folded, plain])):
        assert isinstance(corpus, Corpus)
        for split in SPLITS:
            for record in corpus.records(split):
                number = int(record.id[-1])
                assert float(corpus.mel(record)[0, 0]) == number / 8
                assert float(corpus.wave(record)[0]) == pytest.approx(number / 16, abs=1e-4)
                assert float(corpus.features(record, "motion")[0, 0]) == number / 8
    assert ids(joined, "valid") == ["four/clip0", "four/clip1", "plain/clip4", "plain/clip5"]
    assert isinstance(folded, CodedCorpus)
    assert folded.codes(folded.records("test")[0], "abc").shape == (5, 20)
    with pytest.raises(InputError, match="keeps no codes"):
        joined.codes(joined.records("test")[0], "abc")
    with pytest.raises(InputError, match="is not of four"):
        folded.mel(replace(plain.records("train")[0], id="elsewhere"))


def test_folds_that_are_not_there_are_refused(tmp_path: Path) -> None:
    corpus = prepared(tmp_path / "folds")
    with pytest.raises(InputError, match="no fold 7: choose one of 1, 2, 3, 4"):
        FoldedCorpus(corpus, 7)
    with pytest.raises(InputError, match="plain has no folds"):
        FoldedCorpus(prepared(tmp_path / "plain", folds=False, name="plain"), 1)


def test_few_labels_are_drawn_by_class_and_seed(tmp_path: Path) -> None:
    corpus = FoldedCorpus(prepared(tmp_path), 4)
    draws = {seed: ids(FewLabels(corpus, 2, seed=seed), "train") for seed in range(8)}
    assert len({tuple(names) for names in draws.values()}) > 1
    for seed, names in draws.items():
        assert sorted(int(name[-1]) % 2 for name in names) == [0, 0, 1, 1]
        assert set(ids(FewLabels(corpus, 1, seed=seed), "train")) < set(names)
    few = FewLabels(corpus, 1)
    assert ids(few, "test") == ids(corpus, "test")
    assert few.wave(few.records("train")[0]).numel() == 8
    with pytest.raises(InputError, match=r"2 of 2 classes have fewer than 4 .* \(a 3, b 3\)"):
        FewLabels(corpus, 4)
