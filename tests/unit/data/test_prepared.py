"""Prepared folders: what is written is read back; what is missing is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.data import prepared_layout as layout
from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.prepared import PreparedCorpus
from earsight.errors import InputError
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio

CARD = {
    "name": "two",
    "kind": "media",
    "class_names": ["a", "b"],
    "feature_kinds": ["motion"],
    "codes": {"abc": {}},
}


def record(clip_id: str, folder: Path, **notes: str) -> ClipRecord:
    return ClipRecord(
        id=clip_id,
        split="train" if clip_id == "a/one" else "test",
        class_index=0 if clip_id == "a/one" else None,
        class_name="a" if clip_id == "a/one" else None,
        seconds=1.0,
        source=folder.parent / "media" / "one.mp4",
        notes=notes,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prepared"
    mel = np.linspace(0, 1, 80 * 87, dtype=np.float32).reshape(80, 87)
    rows = np.arange(44, dtype=np.float16).reshape(22, 2)
    layout.save_array(layout.mel_path(folder, "a/one"), mel.astype(np.float16))
    layout.save_array(layout.feature_path(folder, "motion", "a/one"), rows)
    layout.save_array(
        layout.codes_path(folder, "abc", "a/one"), np.full((5, 5), 1023, dtype=np.uint16)
    )
    wave = torch.arange(-100, 100)[None] / 32768
    write_audio(
        layout.wave_path(folder, "a/one"), Waveform(wave, 22050), provenance=None, subtype="PCM_16"
    )
    truth = str(folder / "clips" / "x.truth.json")
    records = [record("a/one", folder, truth=truth, fold="3"), record("gone", folder)]
    layout.complete(folder, records, CARD)
    return folder


def test_everything_written_is_read_back(folder: Path) -> None:
    corpus = PreparedCorpus(folder)
    assert isinstance(corpus, Corpus)
    (clip,) = corpus.records("train")
    assert clip == record("a/one", folder, truth=str(folder / "clips" / "x.truth.json"), fold="3")
    assert corpus.records("valid") == []
    assert corpus.mel(clip).shape == (80, 87)
    assert corpus.mel(clip).dtype == torch.float32
    assert corpus.wave(clip).equal(torch.arange(-100, 100) / 32768)
    assert corpus.features(clip, "motion")[21].tolist() == [42, 43]
    assert corpus.codes(clip, "abc").unique().tolist() == [1023]
    assert corpus.class_names == ("a", "b")


def test_moved_together_with_its_media_it_still_reads(folder: Path) -> None:
    moved = folder.rename(folder.with_name("elsewhere"))
    (clip,) = PreparedCorpus(moved).records("train")
    assert clip.notes["truth"] == str(moved / "clips" / "x.truth.json")
    assert clip.source == folder.parent / "media" / "one.mp4"


def test_a_link_to_the_folder_reads_the_same(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(folder)
    seen = PreparedCorpus(link).records("train")[0]
    assert seen.source == PreparedCorpus(folder).records("train")[0].source


def test_what_is_missing_is_named(folder: Path) -> None:
    corpus = PreparedCorpus(folder)
    (gone,) = corpus.records("test")
    with pytest.raises(InputError, match=r"mels/gone.npy is missing"):
        corpus.mel(gone)
    with pytest.raises(InputError, match=r"no resnet50 features \(it has: motion\)"):
        corpus.features(gone, "resnet50")
    with pytest.raises(InputError, match=r"no codes of codebook ffff \(it has: abc\)"):
        corpus.codes(gone, "ffff")
    (folder / "COMPLETE").unlink()
    with pytest.raises(InputError, match="is not finished"):
        PreparedCorpus(folder)
    with pytest.raises(InputError, match=r"corpus\.json and manifest\.jsonl missing"):
        PreparedCorpus(folder / "mels")


def test_damage_is_named(folder: Path) -> None:
    (folder / "mels" / "gone.npy").write_bytes(b"\x93NUMPY")
    corpus = PreparedCorpus(folder)
    with pytest.raises(InputError, match=r"gone.npy is damaged"):
        corpus.mel(corpus.records("test")[0])
    with (folder / "manifest.jsonl").open("a") as file:
        file.write('{"id": "../../etc/passwd", "split": "train"}\n')
    with pytest.raises(InputError, match="line 3: not a clip"):
        PreparedCorpus(folder).records("train")


@pytest.mark.parametrize("bad", ["../x", "/x", "a//b", "a/../b", "", "a\\b", "a\nb", "c:x", "."])
def test_ids_stay_inside(bad: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be a clip's id"):
        layout.mel_path(tmp_path, bad)
