"""A run over a folder: every case has rows, whatever is in it, and the exit code tells."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earsight.cli.app import main
from earsight.errors import InputError
from earsight.parity.cases import CaseFile, find_cases
from earsight.parity.compare import Row
from earsight.parity.run import cases_in, run_case, run_cases, runner_of
from earsight.parity.systems import SYSTEMS

GOLDEN = Path(__file__).parents[2] / "golden"
CHEAP = ("frame_indices", "discriminator")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two cheap cases of one system."""
    (tmp_path / "specvqgan").mkdir()
    for path in (GOLDEN / "specvqgan").iterdir():
        if path.stem in CHEAP:
            shutil.copy(path, tmp_path / "specvqgan")
    return tmp_path


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    spec = json.loads(path.read_text())
    edit(spec)
    path.write_text(json.dumps(spec))


def rows_of(folder: Path, name: str) -> list[Row]:
    return [row for row in run_cases(cases_in(folder)) if row.case == name]


def test_another_seed_fails_and_breaks_nothing(folder: Path) -> None:
    change(folder / "specvqgan/discriminator.json", lambda spec: spec.update(seed=1))
    found = rows_of(folder, "discriminator")
    assert {row.output: row.status for row in found}["eval_logits"] == "fail"
    assert "error" not in {row.status for row in found}
    assert {row.status for row in rows_of(folder, "frame_indices")} == {"pass"}


def test_another_size_is_a_wrong_shape_or_a_misfit(folder: Path) -> None:
    path = folder / "specvqgan/discriminator.json"
    change(path, lambda spec: spec["inputs"]["x"].update(normal=[1, 1, 48, 96]))
    logits = next(row for row in rows_of(folder, "discriminator") if row.output == "eval_logits")
    assert (logits.status, logits.shape) == ("fail", (1, 1, 4, 10))
    assert "stored (2, 1, 8, 6)" in logits.detail
    change(path, lambda spec: spec["config"].update(ndf=32))
    (row,) = rows_of(folder, "discriminator")
    assert row.status == "error"
    assert "entries do not fit" in row.detail


def test_what_is_fixed_here_is_named(folder: Path) -> None:
    path = folder / "specvqgan/discriminator.json"
    change(path, lambda spec: spec["config"].update(leaky_slope=0.1))
    (row,) = rows_of(folder, "discriminator")
    assert "leaky_slope 0.1 (here always 0.2)" in row.detail


def test_a_variant_is_run_by_its_kind(folder: Path) -> None:
    for suffix in ("json", "npz"):
        source = folder / f"specvqgan/discriminator.{suffix}"
        source.rename(folder / f"specvqgan/discriminator_small_2.{suffix}")
    assert {row.status for row in rows_of(folder, "discriminator_small_2")} == {"pass"}


def test_unknown_kinds_and_broken_files_have_rows(folder: Path) -> None:
    (folder / "specvqgan/novelty.json").write_text("{}")
    (folder / "specvqgan/gpt.json").write_text("{")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/thing.json").write_text("{}")
    statuses = {(row.system, row.case): row.status for row in run_cases(cases_in(folder))}
    assert statuses[("specvqgan", "novelty")] == "unknown"
    assert statuses[("specvqgan", "gpt")] == "error"
    assert statuses[("elsewhere", "thing")] == "unknown"
    assert statuses[("specvqgan", "discriminator")] == "pass"


def test_a_kind_is_looked_up_in_its_own_system_alone(folder: Path) -> None:
    flat = (folder / "specvqgan").rename(folder / "held_back")
    rows = list(run_cases(cases_in(flat)))
    assert {row.status for row in rows} == {"unknown"}
    assert "'held_back' is no system known here" in rows[0].detail
    assert {row.status for row in run_cases(cases_in(flat, system="specvqgan"))} == {"pass"}


def test_every_shipped_case_has_a_runner() -> None:
    files = find_cases(GOLDEN, known=SYSTEMS)
    assert len(files) > 25
    for file in files:
        assert runner_of(file)


def test_a_case_that_needs_clips_says_so() -> None:
    path = GOLDEN / "specvqgan/dataset_item.json"
    (row,) = run_case(CaseFile(system="specvqgan", name="dataset_item", path=path))
    assert row.status == "skipped"
    assert "--data or EARSIGHT_DATA" in row.detail


def test_a_folder_without_such_cases_is_wrong_usage(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no case of the system 'vocoder'.*found specvqgan"):
        cases_in(folder, system="vocoder")
    with pytest.raises(InputError, match="not a folder of golden cases"):
        cases_in(folder / "nowhere")


def test_several_systems_in_one_call(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "vocoder").mkdir()
    (folder / "vocoder/novelty.json").write_text("{}")
    assert main(["parity", "vocoder", "specvqgan", "--cases", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("parity: 3 cases, ")
    assert "1 unknown" in lines[-1]


def test_exit_codes_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["parity", "specvqgan", "--cases", str(folder)]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("parity: 2 cases, ")
    (folder / "specvqgan/novelty.json").write_text("{}")
    assert main(command) == 0
    assert "1 unknown" in capsys.readouterr().out.splitlines()[-1]
    assert main([*command, "--strict"]) == 1
    change(folder / "specvqgan/discriminator.json", lambda spec: spec.update(seed=1))
    capsys.readouterr()
    assert main([*command, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["counts"]["fail"] >= 1
    assert {row["case"] for row in told["rows"]} == {*CHEAP, "novelty"}
