"""Labels, splits and ids of folders and tables; what does not fit is named."""

from pathlib import Path

import pytest

from earsight.data.corpus import Corpus
from earsight.data.find_source import find_source
from earsight.data.open_corpus import open_corpus
from earsight.data.source_clips import SplitRule, clean_id
from earsight.errors import ConfigError, InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_labels_are_sub_folders(tmp_path: Path) -> None:
    names = ("rain/a.wav", "rain/b.MP4", "dog/a.wav", "loose.mp3", "notes.txt", ".x/a.wav")
    source = find_source(touch(tmp_path / "mine", *names))
    assert source.name == "mine"
    assert source.class_names == ("dog", "rain")
    assert [(c.id, c.class_name, c.has_picture) for c in source.clips] == [
        ("loose", None, False),
        ("dog/a", "dog", False),
        ("rain/a", "rain", False),
        ("rain/b", "rain", True),
    ]


def test_split_folders_are_heeded(tmp_path: Path) -> None:
    source = find_source(touch(tmp_path, "train/dog/a.wav", "val/dog/b.wav", "test/c.wav"))
    assert [(c.split, c.class_name) for c in source.clips] == [
        ("test", None),
        ("train", "dog"),
        ("valid", "dog"),
    ]


def test_hash_split_is_stable_and_keeps_its_shares(tmp_path: Path) -> None:
    rule = SplitRule(valid=0.2, test=0.1, seed=3)
    splits = [rule.split(f"clip{number}.mp4") for number in range(2000)]
    assert abs(splits.count("valid") / 2000 - 0.2) < 0.03
    assert abs(splits.count("test") / 2000 - 0.1) < 0.03
    few = find_source(touch(tmp_path, "a/1.wav", "a/2.wav"), rule)
    more = find_source(touch(tmp_path, "a/0.wav", "b/9.wav"), rule)
    assert {c.id: c.split for c in few.clips}.items() <= {c.id: c.split for c in more.clips}.items()
    with pytest.raises(ConfigError, match="leave a rest"):
        SplitRule(valid=0.5, test=0.5)


def test_a_small_folder_is_validated_by_two_files_whatever_chance_says(tmp_path: Path) -> None:
    for seed in range(12):
        rule = SplitRule(seed=seed)
        source = find_source(touch(tmp_path, *(f"{number}.wav" for number in range(16))), rule)
        splits = {clip.id: clip.split for clip in source.clips}
        assert sum(split == "valid" for split in splits.values()) >= 2
        # whoever is held out by the hash alone stays
        for name, split in splits.items():
            if split != "valid":
                assert rule.split(f"{name}.wav") == split
    none = find_source(tmp_path, SplitRule(valid=0.0))
    assert all(clip.split != "valid" for clip in none.clips)
    table = tmp_path / "parts.csv"
    rows = [f"{number // 2}.wav,{number % 2},{number % 2 + 1}" for number in range(16)]
    table.write_text("path,start,end\n" + "\n".join(rows))
    for seed in range(12):
        parts = find_source(table, SplitRule(seed=seed)).clips
        held_out = {clip.media for clip in parts if clip.split == "valid"}
        assert held_out
        assert all(clip.split == "valid" for clip in parts if clip.media in held_out)


def test_names_that_clash_are_told_apart(tmp_path: Path) -> None:
    source = find_source(touch(tmp_path, "a.wav", "a.mp4", "b:c.wav", "b*c.wav"))
    assert sorted(c.id for c in source.clips) == ["a-mp4", "a-wav", "b_c-wav", "b_c-wav-2"]
    long = clean_id("x" * 300)
    assert len(long) < 160
    assert long != clean_id("x" * 301)


def test_table(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(
        'path,label,split,start,end\nv/a.mp4,dog,val,1.5,4\nv/a.mp4,dog,val,4,\n"v/b, c.wav",,,,\n'
    )
    first, second, third = find_source(table).clips
    assert (first.id, first.split, first.start_seconds, first.seconds) == (
        "v/a_1500_4000",
        "valid",
        1.5,
        2.5,
    )
    assert (second.id, second.seconds) == ("v/a_4000_end", None)
    assert (third.id, third.class_name, third.has_picture) == ("v/b, c", None, False)
    assert third.media == tmp_path / "v" / "b, c.wav"


def test_parts_of_one_file_share_a_split(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    rows = [f"v/{name}.mp4,{start},{start + 1}" for name in "abcdefgh" for start in range(4)]
    table.write_text("path,start,end\n" + "\n".join(rows))
    rule = SplitRule(valid=0.3, test=0.3)
    found = {(c.media.name, c.split) for c in find_source(table, rule).clips}
    assert len(found) == 8
    assert len({split for _, split in found}) > 1


def test_bad_rows_are_named_together(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("path,split,start,end\na.wav,later,,\n,train,,\nb.wav,train,3,2\nc.wav,,x,\n")
    with pytest.raises(InputError) as raised:
        find_source(table)
    for part in ("4 rows", "line 2: split 'later'", "line 3: no path", "line 4: end 2", "line 5"):
        assert part in str(raised.value)
    table.write_text("file,label\na.wav,dog\n")
    with pytest.raises(InputError, match="header with the columns path"):
        find_source(table)


def test_esc10_folds(data_root: Path) -> None:
    source = find_source(data_root / "esc10")
    splits = [clip.split for clip in source.clips]
    assert [splits.count(split) for split in ("train", "valid", "test")] == [240, 80, 80]
    assert all((clip.split == "test") == (clip.notes["fold"] == 5) for clip in source.clips)
    assert "5 is test, 4 is valid" in source.rule
    corpus = open_corpus(data_root / "esc10")
    assert isinstance(corpus, Corpus)
    clip = corpus.records("test")[0]
    num_samples = corpus.wave(clip).numel()
    assert num_samples / 22050 == pytest.approx(clip.seconds, abs=0.01)
    assert corpus.mel(clip).shape == (80, 1 + num_samples // 256)
    with pytest.raises(InputError, match="sound alone"):
        corpus.features(clip, "motion")


def test_official_videos_with_their_lists(data_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vas"
    folder.symlink_to(data_root / "av_clips" / "vas")
    (tmp_path / "vas_valid.txt").write_text("dog/video_02677\nbaby/video_01951\n")
    source = find_source(folder)
    assert [(c.id, c.split, c.class_name) for c in source.clips] == [
        ("dog/video_02677", "valid", "dog"),
        ("baby/video_01951", "valid", "baby"),
    ]
    assert source.class_names[7] == "sneeze"
    assert source.published["train"] == 11_773


def test_nothing_to_prepare_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no video and no sound"):
        find_source(touch(tmp_path, "readme.txt"))
    with pytest.raises(InputError, match="no corpus at"):
        find_source(tmp_path / "none")
