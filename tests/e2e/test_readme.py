"""The README does not lie: its Python runs as it stands, its commands exist."""

import re
import shutil
from pathlib import Path

import pytest

from earsight.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
DEMO = ROOT / "src" / "earsight" / "demo" / "bouncing_ball.mp4"


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_python_examples_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder that holds `my_clip.mp4`, a fresh namespace for each."""
    shutil.copy(DEMO, tmp_path / "my_clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README.md, example {number + 1}", "exec"), {})


def test_commands_are_those_that_exist() -> None:
    listed = set(re.findall(r"^\| `earsight (\w+)`", README, re.MULTILINE))
    assert listed == {command.name for command in COMMANDS}
    named = set(
        re.findall(r"\bearsight ([a-z]+)\b[^.]", "\n".join(re.findall(r"`+[^`]+`", README)))
    )
    assert named <= listed, named - listed


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
