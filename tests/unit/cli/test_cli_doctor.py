"""The doctor: a finding for every part, advice for every trouble."""

import json
from pathlib import Path

import pytest

from earsight.cli import app, doctor


def test_json_covers_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    code = app.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    topics = {finding["topic"] for finding in findings}
    assert {"earsight", "torch", "cpu", "extra media", "bundled files", "cache", "memory"} <= topics
    assert code == int(any(finding["status"] == "problem" for finding in findings))


def test_a_changed_and_a_missing_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"")
    (tmp_path / "bad").write_bytes(b"x")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    listing = tmp_path / "SHA256SUMS"
    listing.write_text(f"{empty}  good\n")
    assert [f.status for f in doctor.bundled_files(tmp_path)] == ["ok"]
    listing.write_text(f"{empty}  good\n{empty}  bad\n{empty}  gone\n")
    (finding,) = doctor.bundled_files(tmp_path)
    assert finding.status == "problem"
    assert finding.found == "bad is not the published file; gone is missing"
    assert "reinstall" in finding.advice


def test_an_absent_part_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"plots": (("no-such-package", "no_such_module", "plots"),)}
    monkeypatch.setattr(doctor, "OPTIONAL", parts)
    (finding,) = doctor.optional_parts()
    assert (finding.status, finding.found) == ("note", "no-such-package is not installed")
    assert "pip install 'earsight[plots]'" in finding.advice


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "file" / "below"))
    (finding,) = doctor.cache()
    assert finding.status == "problem"
    assert "EARSIGHT_CACHE" in finding.advice


def test_little_memory_is_noted() -> None:
    assert doctor.memory(2**30).advice
    assert not doctor.memory(8 * 2**30).advice
