"""Preparing: arrays, resumption, names of what is skipped, any number of workers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from media_files import sound

from earsight.checkpoints.native import BundlePart, save_bundle
from earsight.data.find_source import find_source
from earsight.data.prepared import PreparedCorpus
from earsight.errors import ConfigError, InputError
from earsight.models.sight.config import SightConfig
from earsight.models.sight.model import SightTower
from earsight.prepare.corpus import prepare_corpus
from earsight.prepare.extract import Outcome


@pytest.fixture(scope="module")
def prepared(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "out"
    prepare_corpus(clips, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    # lines of the journal come in the order in which clips end
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.suffix != ".jsonl"}


def test_uneven_clips_become_arrays_of_their_own_lengths(prepared: Path) -> None:
    corpus = PreparedCorpus(prepared)
    records = {r.id: r for split in ("train", "test") for r in corpus.records(split)}
    lengths = {"train/dog/long": 1.5, "train/dog/short": 0.5, "test/rain/two": 0.75}
    for clip_id, seconds in lengths.items():
        clip = records[clip_id]
        assert clip.seconds == pytest.approx(seconds, abs=0.06)
        assert corpus.mel(clip).shape[1] == 1 + corpus.wave(clip).numel() // 256
        assert corpus.features(clip, "motion").shape[0] == pytest.approx(21.5 * seconds, abs=1)
    assert records["train/rain/one"].class_index == 1
    assert records["test/rain/two"].split == "test"
    assert corpus.wave(records["train/dog/long"]).mul(32768).frac().count_nonzero() == 0


def test_every_skipped_clip_is_named_with_its_reason(prepared: Path) -> None:
    skipped = {s["id"]: s["reason"] for s in PreparedCorpus(prepared).card["skipped"]}
    assert set(skipped) == {"train/rain/silent", "train/rain/alone", "train/rain/broken"}
    assert skipped["train/rain/silent"].startswith("no audio: ")
    assert skipped["train/rain/alone"].startswith("no video: ")
    assert skipped["train/rain/broken"].startswith("broken: ")


def test_sounds_alone_have_no_features(sounds: Path, tmp_path: Path) -> None:
    done = prepare_corpus(sounds, tmp_path / "out", features=("motion",))
    assert [(s.id, s.reason.partition(":")[0]) for s in done.skipped] == [
        ("bell/blip", "too short")
    ]
    corpus = PreparedCorpus(tmp_path / "out")
    assert corpus.feature_kinds == ()
    assert any("below 22050 Hz" in warning for warning in done.drift.warnings)


def test_workers_do_not_change_the_result(prepared: Path, clips: Path, tmp_path: Path) -> None:
    prepare_corpus(clips, tmp_path / "out", workers=2)
    assert contents(tmp_path / "out") == contents(prepared)
    manifests = [(folder / "manifest.jsonl").read_text() for folder in (prepared, tmp_path / "out")]
    assert manifests[0].count("\n") == manifests[1].count("\n") == 4


class Stop(Exception):
    """Stands for Ctrl-C."""


def test_an_interrupted_run_goes_on(prepared: Path, clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def interrupt(outcome: Outcome) -> None:
        if outcome.id == "train/dog/long":
            raise Stop

    with pytest.raises(Stop):
        prepare_corpus(clips, folder, watch=interrupt)
    with pytest.raises(InputError, match="is no prepared corpus"):
        PreparedCorpus(folder)
    with (folder / "progress.jsonl").open("a") as file:
        file.write('{"id": "train/dog/short", "finge')
    done = prepare_corpus(clips, folder)
    assert (done.num_kept, done.num_made) == (2, 2)
    assert contents(folder) == contents(prepared)


def test_only_what_changed_is_made_again(sounds: Path, tmp_path: Path) -> None:
    media = shutil.copytree(sounds, tmp_path / "media")
    folder = tmp_path / "out"
    assert prepare_corpus(media, folder).num_made == 2
    assert prepare_corpus(media, folder).num_kept == 2
    (folder / "mels" / "bell" / "a.npy").unlink()
    assert prepare_corpus(media, folder).num_made == 1
    (media / "bell" / "b.wav").unlink()
    sound(media / "bell" / "b.wav", 0.4)
    done = prepare_corpus(media, folder)
    assert (done.num_made, done.num_kept) == (1, 1)
    with pytest.raises(InputError, match="is not empty"):
        prepare_corpus(media, folder, resume=False)


def brightness(pictures: object) -> torch.Tensor:
    """A kind of feature of one's own: the mean of each picture."""
    return torch.stack([picture.float().mean()[None] for picture in pictures])  # type: ignore[attr-defined]


def test_a_further_kind_of_feature_is_added(prepared: Path, clips: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "out")
    before = (folder / "mels" / "train" / "dog" / "long.npy").stat().st_mtime_ns
    prepare_corpus(clips, folder, features=("brightness",), makers={"brightness": brightness})
    corpus = PreparedCorpus(folder)
    assert corpus.feature_kinds == ("brightness", "motion")
    clip = corpus.records("test")[0]
    assert corpus.features(clip, "brightness").shape == (len(corpus.features(clip, "motion")), 1)
    assert (folder / "mels" / "train" / "dog" / "long.npy").stat().st_mtime_ns == before


def test_unknown_features_and_absent_weights_are_refused(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected different ones of bn_inception, motion"):
        prepare_corpus(clips, tmp_path / "out", features=("smell",))
    with pytest.raises(InputError, match="earsight weights fetch resnet50-imagenet"):
        prepare_corpus(clips, tmp_path / "out", features=("resnet50",))


def test_parts_of_a_file(clips: Path, tmp_path: Path) -> None:
    table = tmp_path / "parts.csv"
    path = clips / "train" / "dog" / "long.mp4"
    table.write_text(f"path,start,end\n{path},0,1\n{path},0.5,1.25\n{path},9,10\n")
    whole = prepare_corpus(table, tmp_path / "out")
    assert [skip.reason.partition(":")[0] for skip in whole.skipped] == ["broken"]
    corpus = PreparedCorpus(tmp_path / "out")
    first, second = (r for split in ("train", "valid", "test") for r in corpus.records(split))
    assert (len(corpus.features(first, "motion")), len(corpus.features(second, "motion"))) == (
        22,
        16,
    )
    assert corpus.wave(second).numel() == round(0.75 * 22050)
    one, other = corpus.wave(first)[11025:20000], corpus.wave(second)[: 20000 - 11025]
    # resampled from another start: equal but for the border
    assert (one - other)[200:].abs().max() < 2e-4


def test_no_clip_of_use_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="none of 1 clips can be used: a: broken"):
        prepare_corpus(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out" / "COMPLETE").exists()


def test_a_limit_takes_some_of_every_class(tmp_path: Path) -> None:
    for number in range(12):
        sound(tmp_path / "in" / f"c{number % 3}" / f"{number}.wav", 0.2)
    done = prepare_corpus(tmp_path / "in", tmp_path / "out", limit=6)
    assert done.num_made == 6
    clips = find_source(tmp_path / "in").clips
    kept = [clip.class_name for clip in clips if (tmp_path / f"out/mels/{clip.id}.npy").exists()]
    assert len(set(kept)) > 1


def test_statistics_of_a_known_corpus(sounds: Path, tmp_path: Path) -> None:
    done = prepare_corpus(sounds, tmp_path / "out")
    corpus = PreparedCorpus(tmp_path / "out")
    mels = [corpus.mel(clip) for clip in corpus.records("train")]
    wanted = torch.stack([mel.mean(1) for mel in mels]).mean(0)
    assert np.allclose(done.drift.values["band_means"], wanted, atol=1e-4)
    rows = {row.quantity: row for row in done.drift.rows}
    assert rows["log-mel mean over bands"].published == "0.4056"


def test_an_image_tower_looks_at_every_picture(clips: Path, tmp_path: Path) -> None:
    sizes = SightConfig(picture_size=8, channels=(8, 8), width=16, num_values=3, num_classes=2)
    part = BundlePart(
        family="sight",
        config=sizes,
        state=SightTower(sizes).state_dict(),
        extra={"class_names": ["a", "b"]},
    )
    save_bundle(tmp_path / "model", "sight", {"sight": part})
    model = str(tmp_path / "model")
    prepare_corpus(clips, tmp_path / "out", features=("motion", "sight"), sight=model)
    corpus = PreparedCorpus(tmp_path / "out")
    for clip in corpus.records("train"):
        seen, moved = corpus.features(clip, "sight"), corpus.features(clip, "motion")
        assert seen.shape == (len(moved), 5)
        assert seen[:, :2].equal(moved)


def test_real_clips_give_the_published_spectrograms(data_root: Path, tmp_path: Path) -> None:
    root = data_root / "av_clips" / "vas"
    table = tmp_path / "some.csv"
    table.write_text(f"path,split\n{root / 'videos' / 'baby' / 'video_01951.mp4'},train\n")
    prepare_corpus(table, tmp_path / "out", features=())
    corpus = PreparedCorpus(tmp_path / "out")
    found = corpus.mel(corpus.records("train")[0])[:, :860]
    stored = root / "features" / "baby" / "melspec_10s_22050hz" / "video_01951_mel.npy"
    published = torch.from_numpy(np.load(stored)).float()
    # the published clip went through lossy coding once more
    assert (found - published).abs().mean() < 0.004
