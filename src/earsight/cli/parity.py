"""`earsight parity`: re-runs golden cases and prints the largest error of every output."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earsight.cli.report import print_json, progress

if TYPE_CHECKING:
    from earsight.parity.compare import Row

DATA_VARIABLE = "EARSIGHT_DATA"
COLUMNS = ("status", "case", "output", "shape", "error", "tolerance", "note")
FIXED_COLUMNS = ("status", "shape", "error")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "system", nargs="*", help="only the cases of these folders, e.g. specvqgan (default: all)"
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="DIR",
        help="folder of cases, or of one folder per system (default: tests/golden of the checkout)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"sample clips for the cases that need them (default: ${DATA_VARIABLE})",
    )
    parser.add_argument("--strict", action="store_true", help="fail on cases of an unknown kind")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the cases; returns 1 where one fails or breaks, with --strict for unknown kinds too."""
    from earsight.parity.run import cases_in, run_case, shipped_cases, tally

    data_root = args.data or (Path(given) if (given := os.environ.get(DATA_VARIABLE)) else None)
    folder = args.cases or shipped_cases()
    files = [file for name in args.system or [None] for file in cases_in(folder, system=name)]
    live = not args.json and not sys.stdout.isatty()
    rows: list[Row] = []
    with progress("golden cases", total=len(files)) as advance:
        for file in files:
            found = run_case(file, data_root=data_root)
            rows += found
            for row in found if live else ():
                print(_line(row), flush=True)
            advance(1)
    counts = tally(rows)
    failed = bool(counts["fail"] or counts["error"] or (args.strict and counts["unknown"]))
    if args.json:
        print_json({"ok": not failed, "counts": counts, "rows": [_plain(row) for row in rows]})
        return int(failed)
    if not live:
        _print_table(rows)
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    print(f"parity: {len(files)} cases, {len(rows)} rows: {told}")
    return int(failed)


def _cells(row: "Row") -> tuple[str, ...]:
    shape = "x".join(map(str, row.shape)) if row.shape is not None else ""
    error = f"{row.error:.2e}" if row.error is not None else ""
    return (row.status, row.system, row.case, row.output, shape, error, row.tolerance, row.detail)


def _line(row: "Row") -> str:
    widths = (7, 9, 18, 28, 14, 8, 12, 0)
    cells = (cell.ljust(width) for cell, width in zip(_cells(row), widths, strict=True))
    return " ".join(" ".join(cells).splitlines()).rstrip()


def _plain(row: "Row") -> dict[str, Any]:
    from dataclasses import asdict
    from math import isfinite

    plain = asdict(row)
    if row.error is not None and not isfinite(row.error):
        plain["error"] = str(row.error)  # JSON has no infinity
    return plain


def _print_table(rows: "list[Row]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"pass": "green", "fail": "red", "error": "red", "unknown": "yellow"}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column in FIXED_COLUMNS)
    for row in rows:
        status, system, case, output, shape, error, tolerance, note = _cells(row)
        told = note if row.status != "pass" else ""
        texts = (f"{system}/{case}", output, shape, error, tolerance, told)
        table.add_row(Text(status, style=colours.get(status, "dim")), *map(Text, texts))
    Console().print(table)
