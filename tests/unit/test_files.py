"""Files appear whole or not at all, and never replace others unasked."""

from pathlib import Path

import pytest

from earsight.errors import InputError
from earsight.files import file_digest, staged, write_json


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"

    def interrupted() -> None:
        with staged(target) as temporary:
            temporary.write_text("half")
            assert temporary.suffix == ".txt"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "a").iterdir()) == []


def test_an_existing_file_stays_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"one": 1})
    with pytest.raises(InputError, match="exists already"):
        write_json(target, {"two": 2})
    # one that appears while the other is being written stays as well
    late = tmp_path / "late.txt"

    def both_write() -> None:
        with staged(late) as temporary:
            temporary.write_text("mine")
            late.write_text("theirs")

    with pytest.raises(InputError, match="exists already"):
        both_write()
    assert late.read_text() == "theirs"
    write_json(target, {"two": 2}, overwrite=True)
    assert '"two": 2' in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "late.txt"]
    assert target.stat().st_mode & 0o600 == 0o600


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x").startswith("ba7816bf")
    assert file_digest(tmp_path / "x", "md5") == "900150983cd24fb0d6963f7d28e17f72"
