"""The dispatcher: exit codes, one clear line per error, nothing heavy before `run`."""

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from earsight.cli import app
from earsight.errors import EarsightError, FetchError, InputError, MediaError, WeightsError


def give(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]) -> None:
    module = SimpleNamespace(configure=lambda parser: parser.add_argument("--n", type=int), run=run)
    monkeypatch.setattr(app, "COMMANDS", (app.Command("try", "nowhere", "try it"),))
    monkeypatch.setattr(app, "load", lambda command: module)


def raising(error: BaseException) -> Callable[..., int]:
    def run(args: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a\nb"), 2),
        (MediaError("a b"), 1),
        (WeightsError("a b"), 1),
        (FetchError("a b"), 1),
        (EarsightError("a b"), 1),
    ],
)
def test_own_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: EarsightError,
    code: int,
) -> None:
    give(monkeypatch, raising(error))
    assert app.main(["try"]) == code
    assert capsys.readouterr().err == "earsight: a b\n"


def test_unexpected_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        app.main(["try"])


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, raising(KeyboardInterrupt()))
    assert app.main(["try"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_the_commands_exit_code_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, lambda args: args.n)
    assert app.main(["try", "--n", "1"]) == 1


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["doctor", "--nonsense"]])
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        app.main(argv)
    assert "usage" in capsys.readouterr().err


def test_help_of_every_command_is_light() -> None:
    check = """if True:
        import sys
        from earsight.cli import app
        for command in app.COMMANDS:
            app.build_parser(command.name).format_help()
        print(*sorted({"torch", "numpy", "av", "rich"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_help_is_instant() -> None:
    seconds: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "earsight", "--help"], capture_output=True)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
    assert min(seconds) < 0.5, seconds


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "earsight", "doctor", "--json"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_every_command_file_is_in_the_table() -> None:
    folder = Path(app.__file__).parent
    commands = {
        f"earsight.cli.{path.stem}"
        for path in folder.glob("*.py")
        if {"configure", "run"}
        <= {node.name for node in ast.parse(path.read_text()).body if hasattr(node, "name")}
    }
    assert commands == {command.module for command in app.COMMANDS}
