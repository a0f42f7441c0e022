"""Shards: what is prepared comes back, cut and hostile ones are named, nothing is unpickled."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.data import prepared_layout as layout
from earsight.data.corpus import ClipRecord, Corpus
from earsight.data.open_corpus import open_corpus
from earsight.data.prepared import PreparedCorpus
from earsight.data.shard_writer import write_shards
from earsight.data.shards import ShardCorpus
from earsight.errors import InputError
from earsight.media.audio import Waveform
from earsight.media.wave_write import write_audio


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedCorpus:
    """Five clips, one of them with a sound of its own, one without a picture."""
    folder = tmp_path / "prepared"
    records: list[ClipRecord] = []
    for number in range(5):
        clip_id = f"a.b/{number}"
        mel = np.random.default_rng(number).random((80, 20 + number)).astype(np.float16)
        rows = np.full((7, 2), number, np.float16)
        layout.save_array(layout.mel_path(folder, clip_id), mel)
        layout.save_array(layout.codes_path(folder, "abc", clip_id), np.ones((5, 1), np.uint16))
        own = folder / "clips" / "exact.wav"
        wave = own if number == 4 else layout.wave_path(folder, clip_id)
        sound = Waveform(torch.full((1, 5000), number / 8), 22050)
        write_audio(wave, sound, provenance=None, subtype="PCM_16")
        if number != 3:
            layout.save_array(layout.feature_path(folder, "motion", clip_id), rows)
        notes = {"picture": number != 3, "fold": 2} | ({"wave": str(own)} if number == 4 else {})
        records.append(
            ClipRecord(
                id=clip_id,
                split="train" if number < 3 else "test",
                class_index=0,
                class_name="a",
                seconds=0.25,
                source=tmp_path / "m.mp4",
                notes=notes,
            )
        )
    card = {"name": "p", "kind": "media", "class_names": ["a"], "feature_kinds": ["motion"]}
    layout.complete(folder, records, card | {"codes": {"abc": {}}})
    return PreparedCorpus(folder)


@pytest.fixture
def shards(prepared: PreparedCorpus, tmp_path: Path) -> Path:
    write_shards(prepared, tmp_path / "shards", clips_per_shard=2)
    return tmp_path / "shards"


def test_clips_come_back(prepared: PreparedCorpus, shards: Path) -> None:
    corpus = open_corpus(shards)
    assert isinstance(corpus, ShardCorpus)
    assert isinstance(corpus, Corpus)
    assert len(list(shards.glob("*.tar"))) == 3
    assert corpus.skipped == []
    for split in ("train", "test"):
        for own, clip in zip(prepared.records(split), corpus.records(split), strict=True):
            assert (own.id, own.class_index, clip.notes["fold"]) == (clip.id, clip.class_index, 2)
            assert corpus.mel(clip).equal(prepared.mel(own))
            assert corpus.wave(clip).equal(prepared.wave(own))
            assert corpus.codes(clip, "abc").equal(prepared.codes(own, "abc"))
    assert corpus.features(corpus.records("train")[2], "motion")[0].tolist() == [2, 2]
    with pytest.raises(InputError, match="has no features-motion"):
        corpus.features(corpus.records("test")[0], "motion")


def test_the_same_corpus_gives_the_same_bytes(
    prepared: PreparedCorpus, shards: Path, tmp_path: Path
) -> None:
    for path in write_shards(prepared, tmp_path / "again", clips_per_shard=2):
        assert path.read_bytes() == (shards / path.name).read_bytes()
        with tarfile.open(path) as tar:
            assert all("." not in name.partition(".")[0] for name in tar.getnames())


def test_a_cut_shard_loses_its_last_clip_only(shards: Path) -> None:
    path = shards / "train-000000.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    path.write_bytes(whole[: last.offset_data + 10])
    corpus = ShardCorpus(shards)
    assert [clip.id for clip in corpus.records("train")] == ["a.b/0", "a.b/2"]
    assert corpus.skipped[-1] == ("train-000000.tar/train-00000001", "codes-abc.npy is cut short")
    path.write_bytes(whole[: last.offset])
    assert ShardCorpus(shards).skipped[-1][1] == "codes-abc.npy missing"


class Bomb:
    """Would call something when unpickled."""

    def __reduce__(self) -> object:
        return (pytest.fail, ("a pickle was executed",))


def add(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "a") as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))


def test_foreign_members_are_never_opened_and_broken_ones_named(shards: Path) -> None:
    path = shards / "test-000000.tar"
    objects = io.BytesIO()
    np.save(objects, np.array([Bomb()], dtype=object), allow_pickle=True)
    good = '{"id": "../../x", "split": "train", "notes": {}, "members": []}'
    add(
        path,
        {
            "x1.pyd": pickle.dumps(Bomb()),
            "x2.json": b"{}",
            "x3.json": good.encode(),
            "x4.mel.npy": objects.getvalue(),
            "x5.mel.npy": b"\x93NUMPY\x01\x00",
        },
    )
    corpus = ShardCorpus(shards)
    assert len(corpus.records("test")) == 2
    told = {name.partition("/")[2]: reason for name, reason in corpus.skipped}
    assert set(told) == {"x2", "x3", "x4", "x5"}
    assert "cannot be a clip's id" in told["x3"] or "no clip" in told["x3"]
    assert told["x4"] == "mel.npy is no whole array of numbers"


def test_missing_shards_are_named(shards: Path) -> None:
    (shards / "train-000001.tar").unlink()
    with pytest.raises(InputError, match=r"1 shards are missing: train-000001\.tar"):
        ShardCorpus(shards)
    with pytest.raises(InputError, match=r"shards\.json is missing"):
        ShardCorpus(shards.parent)
