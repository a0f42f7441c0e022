"""Run golden cases one after the other; whatever happens inside one becomes its rows."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from earsight.errors import InputError, MissingExtraError
from earsight.parity.cases import CaseFile, find_cases, kind_of, read_case
from earsight.parity.compare import Row, Status
from earsight.parity.runners import CaseSkippedError, Runner
from earsight.parity.systems import SYSTEMS

SHIPPED = Path(__file__).resolve().parents[3] / "tests" / "golden"
STATUSES: tuple[Status, ...] = ("pass", "fail", "error", "unknown", "skipped")


def shipped_cases() -> Path:
    """Folder of the golden cases in a source checkout; InputError in any other installation."""
    if not SHIPPED.is_dir():
        raise InputError(
            "no golden cases come with an installed package: give a folder with --cases, or run "
            "from a source checkout, which holds them in tests/golden"
        )
    return SHIPPED


def cases_in(folder: Path, *, system: str | None = None) -> list[CaseFile]:
    """Every case under `folder`, of one system where it is named; InputError if there is none."""
    found = find_cases(folder, known=SYSTEMS, system=system)
    if not found:
        others = sorted({case.system for case in find_cases(folder, known=SYSTEMS)})
        asked = f"no case of the system {system!r}" if system else "no case"
        listed = f": found {', '.join(others)}" if others else ": expected NAME.json with NAME.npz"
        raise InputError(f"{asked} in {folder}{listed}")
    return found


def run_cases(files: Iterable[CaseFile], *, data_root: Path | None = None) -> Iterator[Row]:
    """Rows of every case, in order and as they come."""
    for file in files:
        yield from run_case(file, data_root=data_root)


def run_case(file: CaseFile, *, data_root: Path | None = None) -> list[Row]:
    """Rows of one case: at least one, whatever happens.

    An exception becomes a row `error`, a case without a rule here a row `unknown`.
    `data_root` holds the sample clips that a few cases start from.
    """
    rows: list[Row] = []
    try:
        runner = runner_of(file)
        rows.extend(runner(read_case(file, data_root=data_root)))
        if not rows:
            rows.append(_row(file, "unknown", "the case holds nothing that could be compared"))
    except _NoRunner as missing:
        rows.append(_row(file, "unknown", str(missing)))
    except (CaseSkippedError, MissingExtraError) as reason:
        rows.append(_row(file, "skipped", str(reason)))
    except Exception as error:  # one case must not stop the others
        rows.append(_row(file, "error", f"{type(error).__name__}: {error}"))
    return rows


def runner_of(file: CaseFile) -> Runner:
    """The runner of a case among those of its own system; kinds of one name differ by system."""
    if file.system not in SYSTEMS:
        raise _NoRunner(
            f"{file.system!r} is no system known here ({', '.join(SYSTEMS)}): name the folder "
            "after one, or name the system of the cases that lie in it"
        )
    kinds = SYSTEMS[file.system]
    kind = kind_of(file.name, kinds)
    if kind is None:
        known = ", ".join(sorted(kinds))
        raise _NoRunner(f"no rule for this kind; {file.system} knows {known}")
    return kinds[kind]


def tally(rows: Iterable[Row]) -> dict[Status, int]:
    """Number of rows by status."""
    counts = Counter(row.status for row in rows)
    return {status: counts[status] for status in STATUSES}


class _NoRunner(Exception):
    """A kind of case that nothing here can run."""


def _row(file: CaseFile, status: Status, detail: str) -> Row:
    return Row(system=file.system, case=file.name, output="-", status=status, detail=detail)
