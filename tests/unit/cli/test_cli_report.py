"""The tally: every item named, the exit code, JSON that stands alone on stdout."""

import json

import pytest

from earsight.cli import report
from earsight.cli.report import Tally, print_table, progress
from earsight.errors import MediaError


def filled(*, as_json: bool) -> Tally:
    tally = Tally("sound", as_json=as_json)
    tally.done("a.mp4", {"seconds": 1.5})
    with tally.guarding("b.mp4"):
        raise MediaError("empty\nfile")
    tally.skipped("c.mp4", "exists")
    return tally


def test_every_item_that_is_not_done_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert filled(as_json=False).finish() == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "sound: 1 done, 1 failed, 1 skipped",
        "  failed b.mp4: empty file",
        "  skipped c.mp4: exists",
    ]


def test_json_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert filled(as_json=True).finish({"model": "m"}) == 1
    value = json.loads(capsys.readouterr().out)
    assert value["items"][0] == {"name": "a.mp4", "outcome": "done", "seconds": 1.5}
    assert value["items"][1]["reason"] == "empty file"
    assert (value["done"], value["failed"], value["skipped"], value["model"]) == (1, 1, 1, "m")


def test_all_done_is_success() -> None:
    tally = Tally("sound", as_json=False)
    tally.done("a")
    assert tally.finish() == 0


def test_only_own_errors_are_counted() -> None:
    with pytest.raises(ZeroDivisionError), Tally("sound", as_json=True).guarding("a"):
        raise ZeroDivisionError


def test_plain_progress_goes_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "PLAIN_LINE_SECONDS", 0.0)
    with progress("reading", total=4) as advance:
        advance(1)
        advance(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["reading: 1 of 4", "reading: 3 of 4"]


def test_plain_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("part", "error"), [("mel", 1.5), ("[codes]", 0)])
    assert capsys.readouterr().out == "part     error\nmel      1.5\n[codes]  0\n"
