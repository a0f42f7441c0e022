"""VGGSound and VAS as they are downloaded, on real clips, and what is said when something lacks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.data.corpora.vas import VAS
from earsight.data.corpora.vggsound import VGGSound, read_labels
from earsight.data.corpus import Corpus
from earsight.errors import InputError

LABELS = {
    "-1pRmoJIGQc": "car engine knocking",
    "-Qowmc0P9ic": "playing bass drum",
    "0nib7bMm8BA": '"canary calling"',
    "3HgbEKrbA9s": "playing double bass",
}


@pytest.fixture
def vggsound(data_root: Path, tmp_path: Path) -> Path:
    """The real files, with lists beside the folder as in the official checkout."""
    folder = tmp_path / "vggsound"
    folder.symlink_to(data_root / "av_clips" / "vggsound")
    rows = [f"{name},10,{label},test" for name, label in LABELS.items()]
    rows.append('AAAAAAAAAAA,3,"cattle, bovinae cowbell",train')
    (tmp_path / "vggsound.csv").write_text("\n".join(rows))
    present = sorted(path.stem for path in (folder / "video").iterdir())
    names = [name for name in present if name[:11] in LABELS]
    (tmp_path / "vggsound_test.txt").write_text("\n".join(names) + "\n")
    return folder


def test_vggsound(vggsound: Path) -> None:
    corpus = VGGSound(vggsound)
    assert isinstance(corpus, Corpus)
    clips = {clip.id: clip for clip in corpus.records("test")}
    assert [clip.class_index for clip in clips.values()] == [28, 179, 25, 193]
    clip = clips["-1pRmoJIGQc_10000_20000"]
    stored = np.load(vggsound / "melspec_10s_22050hz" / f"{clip.id}_mel.npy")
    assert corpus.mel(clip).equal(torch.from_numpy(stored).float())
    assert corpus.features(clip, "resnet50").shape == (215, 2048)
    assert 9.9 < len(corpus.wave(clip)) / 22050 < 10.1
    both = corpus.features(clip, "bn_inception")
    assert both.shape == (216, 2048)
    with pytest.raises(InputError, match="no motion features"):
        corpus.features(clip, "motion")
    with pytest.raises(InputError, match=r"vggsound_train\.txt is missing"):
        corpus.records("train")


def test_listed_clips_that_are_gone(vggsound: Path) -> None:
    with (vggsound.parent / "vggsound_test.txt").open("a") as file:
        file.write("AAAAAAAAAAA_3000_13000\n")
    with pytest.raises(InputError, match=r"1 of 5 listed .* AAAAAAAAAAA_3000_13000"):
        VGGSound(vggsound).records("test")
    corpus = VGGSound(vggsound, only_present=True)
    assert len(corpus.records("test")) == 4
    assert corpus.absent == {"test": 1}


def test_labels_may_hold_commas_and_bad_rows_are_named(tmp_path: Path) -> None:
    table = tmp_path / "vggsound.csv"
    table.write_text('_-aaaaaaaaa,3,"cattle, bovinae cowbell",train\n')
    assert read_labels(table) == {"_-aaaaaaaaa": "cattle, bovinae cowbell"}
    table.write_text("_-aaaaaaaaa,3,cattle, bovinae cowbell,train\n")
    with pytest.raises(InputError, match="line 1"):
        read_labels(table)


def test_vas(data_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vas"
    folder.symlink_to(data_root / "av_clips" / "vas")
    with pytest.raises(InputError, match=r"vas_valid\.txt is missing"):
        VAS(folder).records("valid")
    names = [f"{path.parent.name}/{path.stem}" for path in (folder / "videos").glob("*/*.mp4")]
    (tmp_path / "vas_valid.txt").write_text("\n".join(sorted(names)))
    corpus = VAS(folder)
    assert isinstance(corpus, Corpus)
    clips = corpus.records("valid")
    assert [(clip.id, clip.class_index) for clip in clips[:3]] == [
        ("baby/video_01951", 0),
        ("cough/video_00331", 1),
        ("dog/video_02677", 2),
    ]
    assert clips[-1].class_name == "hammer"
    assert corpus.records("test") == []
    dog = clips[2]
    assert corpus.mel(dog).shape == (80, 860)
    assert corpus.features(dog, "resnet50").shape == (215, 2048)
    assert len(corpus.wave(dog)) / 22050 == pytest.approx(6.0, abs=0.05)
