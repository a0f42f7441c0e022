"""One test per golden case of the folder's system, through the runner that users call."""

from pathlib import Path

import pytest

from earsight.parity.cases import CaseFile
from earsight.parity.compare import Row
from earsight.parity.run import cases_in, run_case, shipped_cases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with the argument `golden_case` run for every case of their folder's name."""
    if "golden_case" in metafunc.fixturenames:
        system = Path(metafunc.module.__file__ or "").parent.name
        files = cases_in(shipped_cases(), system=system)
        metafunc.parametrize("golden_case", files, ids=[file.name for file in files])


@pytest.fixture
def golden_rows(golden_case: CaseFile, request: pytest.FixtureRequest) -> list[Row]:
    """Rows of one case; a case that starts from real clips is skipped where there are none."""
    rows = run_case(golden_case)
    if [row.status for row in rows] == ["skipped"]:
        rows = run_case(golden_case, data_root=request.getfixturevalue("data_root"))
    return rows
