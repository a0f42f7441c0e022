"""What commands print: progress on stderr; tables, tallies and JSON on stdout."""

import json
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from earsight.errors import EarsightError

Outcome = Literal["done", "failed", "skipped"]
Amount = int | float
Advance = Callable[[Amount], None]
PLAIN_LINE_SECONDS = 5.0  # elsewhere than on a terminal: one progress line in this time


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a command and what became of it."""

    name: str
    outcome: Outcome
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Tally:
    """Keeps what became of every item, prints the summary and gives the exit code.

    With `as_json`, stdout carries one JSON object and nothing else.
    """

    def __init__(self, command: str, *, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        self.items: list[Item] = []

    def done(self, name: str, details: Mapping[str, Any] | None = None) -> None:
        """Count a finished item; `details` go into the JSON."""
        self.items.append(Item(name, "done", "", details or {}))

    def failed(self, name: str, reason: str) -> None:
        """Count an item that ended in an error."""
        self._add_and_tell(Item(name, "failed", _one_line(reason)))

    def skipped(self, name: str, reason: str) -> None:
        """Count an item that was left out on purpose."""
        self._add_and_tell(Item(name, "skipped", _one_line(reason)))

    @contextmanager
    def guarding(self, name: str) -> Generator[None]:
        """Count an EarsightError inside the block as this item's failure and go on."""
        try:
            yield
        except EarsightError as error:
            self.failed(name, str(error))

    def count(self, outcome: Outcome) -> int:
        """Number of items with this outcome."""
        return sum(item.outcome == outcome for item in self.items)

    def finish(self, extra: Mapping[str, Any] | None = None) -> int:
        """Print the summary; returns 0 when every item is done, else 1.

        `extra` adds fields of the whole run to the JSON.
        """
        counts = {outcome: self.count(outcome) for outcome in ("done", "failed", "skipped")}
        if self.as_json:
            items = [
                {"name": item.name, "outcome": item.outcome}
                | ({"reason": item.reason} if item.reason else {})
                | dict(item.details)
                for item in self.items
            ]
            print_json({"command": self.command, **counts, **(extra or {}), "items": items})
        else:
            told = [f"{number} {outcome}" for outcome, number in counts.items() if number]
            print(f"{self.command}: {', '.join(told) or 'nothing to do'}")
            for item in self.items:
                if item.outcome != "done":
                    print(f"  {item.outcome} {item.name}: {item.reason}")
        return 0 if counts["done"] == len(self.items) else 1

    def _add_and_tell(self, item: Item) -> None:
        self.items.append(item)
        tell(f"{item.outcome} {item.name}: {item.reason}")


def tell(message: str) -> None:
    """A line for the person watching; never mixed into results on stdout."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print one JSON value on stdout; NaN and infinity are refused."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings: drawn on a terminal, aligned text that greps well elsewhere."""
    texts = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
        for row in texts:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for row in [list(columns), *texts]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


@contextmanager
def progress(title: str, *, total: Amount | None) -> Generator[Advance]:
    """Show how far a piece of work is; yields a function that adds to the finished amount.

    A bar on a terminal, a plain line every few seconds elsewhere. Any unit; `total` may be
    None where the end is unknown.
    """
    if not sys.stderr.isatty():
        yield _plain_progress(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title.replace("[", r"\["), total=total)
        yield lambda amount: bar.advance(task, amount)


def _plain_progress(title: str, total: Amount | None) -> Advance:
    finished, told_at = 0, time.monotonic()

    def advance(amount: Amount) -> None:
        nonlocal finished, told_at
        finished += amount
        now = time.monotonic()
        if now - told_at >= PLAIN_LINE_SECONDS:
            told_at = now
            tell(f"{title}: {finished:g}" + (f" of {total:g}" if total is not None else ""))

    return advance


def _one_line(text: str) -> str:
    return " ".join(text.split())
