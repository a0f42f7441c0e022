"""Official layouts of corpora for listening: labels, splits, folds, and what is not here."""

import json
import wave
from pathlib import Path

import pytest

from earsight.data.corpora.esc50 import CATEGORIES
from earsight.data.fbank_measured import measured_fbank
from earsight.data.find_source import find_source
from earsight.data.open_corpus import open_corpus
from earsight.data.prepared import PreparedCorpus
from earsight.data.source_clips import Source
from earsight.errors import InputError
from earsight.prepare.corpus import prepare_corpus


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def sound(path: Path, seconds: float, rate_hz: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        samples = [(number * number) % 9000 for number in range(round(seconds * rate_hz))]
        file.writeframes(b"".join(each.to_bytes(2, "little") for each in samples))


def told(source: Source) -> list[tuple[str, str, str | None]]:
    return [(clip.id, clip.split, clip.class_name) for clip in source.clips]


def test_fsdd_has_digits_or_speakers(tmp_path: Path) -> None:
    folder = touch(
        tmp_path, *(f"recordings/{d}_anna_{take}.wav" for d in (0, 7) for take in (4, 6))
    )
    touch(folder, "recordings/7_ben_12.wav")
    digits = find_source(folder)
    assert told(digits)[1:] == [
        ("0_anna_6", "valid", "0"),
        ("7_anna_4", "test", "7"),
        ("7_anna_6", "valid", "7"),
        ("7_ben_12", "train", "7"),
    ]
    speakers = find_source(folder, label="speaker")
    assert (speakers.class_names, speakers.name) == (("anna", "ben"), "fsdd_speaker")
    assert speakers.clips[-1].notes == {"digit": "7", "speaker": "ben", "take": 12}
    assert "takes 5 and 6 are valid" in speakers.rule
    with pytest.raises(InputError, match="no label 'word': it has digit or speaker"):
        find_source(folder, label="word")
    with pytest.raises(InputError, match="no label 'speaker': its classes cannot be"):
        find_source(touch(tmp_path / "other", "a/x.wav"), label="speaker")


def test_short_words_are_prepared_too(tmp_path: Path) -> None:
    for take, seconds in ((0, 0.1), (7, 0.3), (8, 0.01)):
        sound(tmp_path / "in" / f"6_anna_{take}.wav", seconds)
    done = prepare_corpus(tmp_path / "in", tmp_path / "out")
    assert [each.id for each in done.skipped] == ["6_anna_8"]
    corpus = PreparedCorpus(tmp_path / "out")
    clip = corpus.records("test")[0]
    assert corpus.wave(clip).numel() / 22050 == pytest.approx(0.1, abs=1e-3)
    assert clip.notes["speaker"] == "anna"


def test_the_real_digits(data_root: Path) -> None:
    source = find_source(data_root / "fsdd", label="speaker")
    splits = [clip.split for clip in source.clips]
    assert {name: splits.count(name) for name in source.published} == source.published
    assert len(source.class_names) == 6


def test_esc50_has_all_classes_or_those_of_esc10(tmp_path: Path) -> None:
    rows = ["1-7-A-0.wav,1,0,dog,True,7,A", "5-8-A-5.wav,5,5,cat,False,8,A"]
    (tmp_path / "meta").mkdir()
    table = tmp_path / "meta" / "esc50.csv"
    table.write_text("\n".join(["filename,fold,target,category,esc10,src_file,take", *rows]))
    touch(tmp_path / "audio", *(row.partition(",")[0] for row in rows))
    whole = find_source(tmp_path)
    assert told(whole) == [("1-7-A-0", "train", "dog"), ("5-8-A-5", "test", "cat")]
    assert (len(whole.class_names), whole.class_names.index("hand saw")) == (50, 49)
    assert whole.published == {"train": 1200, "valid": 400, "test": 400}
    assert whole.clips[1].notes["fold"] == 5
    part = find_source(tmp_path, label="esc10")
    assert told(part) == [("1-7-A-0", "train", "dog bark")]
    opened = open_corpus(tmp_path)
    assert (opened.name, opened.records("test")[0].class_index) == ("esc50", 5)
    assert len(set(CATEGORIES)) == 50
    table.write_text(table.read_text().replace(",cat,", ",scat,"))
    with pytest.raises(InputError, match="cat' is none of ESC-50"):
        open_corpus(tmp_path).records("test")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    for word in ("yes", "go", "cat"):
        touch(folder, *(f"{word}/{speaker}_nohash_0.wav" for speaker in ("a1", "b2", "c3")))
    sound(folder / "_background_noise_" / "hum.wav", 12.5)
    (folder / "validation_list.txt").write_text("yes/b2_nohash_0.wav\ncat/b2_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("go/c3_nohash_0.wav\ngo/gone_nohash_0.wav\n")
    return folder


def test_speech_commands_by_word(words: Path) -> None:
    source = find_source(words)
    assert (source.name, source.class_names) == ("speech_commands_v1", ("cat", "go", "yes"))
    splits = {clip.id: clip.split for clip in source.clips}
    assert (splits["cat/a1_nohash_0"], splits["cat/b2_nohash_0"]) == ("train", "valid")
    assert (splits["go/c3_nohash_0"], len(splits)) == ("test", 9)
    assert source.absent == ("go/gone_nohash_0.wav",)
    assert source.clips[0].notes["speaker"] == "a1"


def test_twelve_speech_commands(words: Path) -> None:
    source = find_source(words, label="commands")
    assert len(source.class_names) == 12
    counts = [clip.class_name for clip in source.clips]
    assert (counts.count("unknown"), counts.count("yes"), counts.count("silence")) == (3, 3, 12)
    silence = [clip for clip in source.clips if clip.class_name == "silence"]
    assert [clip.split for clip in silence[7:10]] == ["train", "valid", "test"]
    assert (silence[9].start_seconds, silence[9].seconds) == (9.0, 1.0)
    touch(words.parent / "speech_commands_test_set_v0.01", "_silence_/1.wav", "yes/2.wav")
    official = find_source(words, label="commands")
    test = [clip.class_name for clip in official.clips if clip.split == "test"]
    assert test == ["silence", "yes"]
    assert "test_set_v0.01" in official.rule


def test_voxceleb_by_the_official_list(tmp_path: Path) -> None:
    touch(tmp_path, "wav/id2/v/1.wav", "dev/wav/id1/v/2.wav")
    lines = ("1 id2/v/1.wav", "3 id1/v/2.wav", "2 id3/v/3.wav")
    (tmp_path / "iden_split.txt").write_text("\n".join(lines))
    source = find_source(tmp_path)
    assert told(source) == [("id2/v/1", "train", "id2"), ("id1/v/2", "test", "id1")]
    assert (source.class_names, source.absent) == (("id1", "id2", "id3"), ("id3/v/3.wav",))
    (tmp_path / "iden_split.txt").write_text("4 id1/v/1.wav\n1 ../up/1.wav\n")
    with pytest.raises(InputError, match=r"2 do not fit: line 1 \(4 id1"):
        find_source(tmp_path)


MIDS = 'index,mid,display_name\n0,/m/a,"Speech, all"\n1,/m/b,Dog\n'
NAMES = ("Y_bcdefghij_", "-aaaaaaaaaa_30.000", "Ybbbbbbbbbb_30_40", "YYbbbbbbbbbc", "unlisted")
ROWS = (
    ("_bcdefghij_", "balanced", "/m/b,/m/a"),
    ("-aaaaaaaaaa", "unbalanced", "/m/a"),
    ("Ybbbbbbbbbb", "eval", "/m/b"),
    ("Ybbbbbbbbbc", "eval", "/m/b"),
    ("gonegonegon", "eval", "/m/a"),
)


def audioset(folder: Path) -> Path:
    touch(folder, *(f"audio/{name}.{ending}" for name, ending in zip(NAMES, ENDINGS, strict=True)))
    (folder / "class_labels_indices.csv").write_text(MIDS)
    for table in ("balanced_train", "unbalanced_train", "eval"):
        rows = [f'{i}, 30.000, 40.000, "{mids}"' for i, t, mids in ROWS if table.startswith(t)]
        text = "\n".join(["# Segments csv", "# num_ytids=1", "# YTID, start, end, labels", *rows])
        (folder / f"{table}_segments.csv").write_text(text)
    return folder


ENDINGS = ("wav", "flac", "mp4", "wav", "wav")


def test_audioset_by_its_tables(tmp_path: Path) -> None:
    source = find_source(audioset(tmp_path))
    assert told(source) == [
        ("_bcdefghij_", "train", "Dog"),
        ("-aaaaaaaaaa", "train", "Speech, all"),
        ("Ybbbbbbbbbb", "test", "Dog"),
        ("Ybbbbbbbbbc", "test", "Dog"),
    ]
    assert source.clips[0].notes["classes"] == ["Dog", "Speech, all"]
    assert (source.absent, source.clips[2].has_picture) == (("gonegonegon",), True)
    assert source.class_names == ("Speech, all", "Dog")
    path = tmp_path / "eval_segments.csv"
    path.write_text(path.read_text().replace("/m/b", "/m/c"))
    with pytest.raises(InputError, match="2 rows are not id, start, end, known classes: Ybbb"):
        find_source(tmp_path)


def test_what_is_not_here_is_counted_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "vox"
    sound(folder / "id1" / "v" / "1.wav", 0.5)
    (folder / "iden_split.txt").write_text("1 id1/v/1.wav\n2 id1/v/2.wav\n")
    done = prepare_corpus(folder, tmp_path / "out")
    assert (done.absent, done.skipped) == (("id1/v/2.wav",), ())
    card = json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert card["absent"] == ["id1/v/2.wav"]
    heard = card["statistics"]["fbank"]
    assert (heard["num_clips"], heard["frames"]) == (1, [48])
    assert measured_fbank(PreparedCorpus(tmp_path / "out")).mean == heard["mean"]


def test_a_table_may_name_folds(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("path,label,fold\na.wav,dog,2\nb.wav,cat,\n")
    assert [clip.notes.get("fold") for clip in find_source(table).clips] == [2, None]
    table.write_text("path,fold\na.wav,two\n")
    with pytest.raises(InputError, match="line 2: fold 'two' is no whole number"):
        find_source(table)
