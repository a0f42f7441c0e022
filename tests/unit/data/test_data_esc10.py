"""ESC-10 in its own folder layout and inside an ESC-50 folder."""

from pathlib import Path

import pytest

from earsight.data.corpora.esc10 import attribution, class_index, read_esc10
from earsight.data.records import in_folds
from earsight.errors import InputError

HEADER = "filename,fold,target,category,esc10,src_file,take"


def own_layout(folder: Path, names: dict[str, list[str]]) -> Path:
    for class_folder, files in names.items():
        (folder / class_folder).mkdir(parents=True)
        for file in files:
            (folder / class_folder / file).touch()
    return folder


def esc50(folder: Path, rows: list[str]) -> Path:
    (folder / "meta").mkdir(parents=True)
    (folder / "audio").mkdir()
    (folder / "meta" / "esc50.csv").write_text("\n".join([HEADER, *rows]))
    for row in rows:
        (folder / "audio" / row.split(",")[0]).touch()
    return folder


def test_own_layout(tmp_path: Path) -> None:
    folder = own_layout(
        tmp_path / "esc10",
        {
            "010 - Fire crackling": ["5-4242-B.ogg", "1-7-A.ogg", "notes.txt"],
            "001 - Dog bark": ["3-99-A.ogg"],
        },
    )
    records = read_esc10(folder)
    assert [(r.id, r.class_name, r.class_index, r.fold, r.source_id) for r in records] == [
        ("3-99-A", "dog bark", 0, 3, "99"),
        ("1-7-A", "fire crackling", 9, 1, "7"),
        ("5-4242-B", "fire crackling", 9, 5, "4242"),
    ]
    assert [r.id for r in in_folds(records, (1, 2))] == ["1-7-A"]
    with pytest.raises(InputError, match=r"folds \[4\]: the corpus has folds \[1, 3, 5\]"):
        in_folds(records, [4])


def test_esc50_layout_takes_only_rows_marked_esc10(tmp_path: Path) -> None:
    folder = esc50(
        tmp_path,
        [
            "1-100032-A-0.wav,1,0,dog,True,100032,A",
            "2-11-A-1.wav,2,1,cat,False,11,A",
            "5-12-B-40.wav,5,40,helicopter,True,12,B",
        ],
    )
    records = read_esc10(folder)
    assert [(r.class_name, r.fold, r.source_id) for r in records] == [
        ("dog bark", 1, "100032"),
        ("helicopter", 5, "12"),
    ]
    assert records[0].path.is_file()


def test_every_wrong_row_is_named(tmp_path: Path) -> None:
    folder = esc50(
        tmp_path,
        ["a.wav,9,0,dog,True,1,A", "b.wav,1,5,cat,True,1,A", "../up.wav,1,0,dog,True,1,A"],
    )
    with pytest.raises(InputError, match=r"3 rows.*fold '9'.*category 'cat'.*up\.wav: missing"):
        read_esc10(folder)


def test_wrong_folders_and_names_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ESC-10 folder"):
        read_esc10(tmp_path / "absent")
    folder = own_layout(tmp_path / "esc10", {"001 - Dog bark": ["bark.ogg", "6-1-A.ogg"]})
    with pytest.raises(InputError, match=r"2 file names.*Dog bark/6-1-A\.ogg"):
        read_esc10(folder)


def test_credit_lists_each_recording_once(tmp_path: Path) -> None:
    folder = own_layout(tmp_path, {"002 - Rain": ["1-30-A.ogg", "1-30-B.ogg", "1-9-A.ogg"]})
    text = attribution(read_esc10(folder))
    assert "by number: 9, 30. Licence: CC BY" in text


def test_class_names_are_read_as_people_write_them() -> None:
    assert class_index(" Sea_Waves") == 2
    with pytest.raises(InputError, match="no class 'cat': expected one of dog bark, rain"):
        class_index("cat")


def test_the_real_corpus(data_root: Path) -> None:
    folder = data_root / "esc10"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    records = read_esc10(folder)
    assert len(records) == 400
    assert all(len(in_folds(records, [fold])) == 80 for fold in range(1, 6))
