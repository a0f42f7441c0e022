"""What a runner of one kind of case is, and how it says that it cannot run here."""

from collections.abc import Callable, Iterator

from earsight.parity.cases import Case
from earsight.parity.compare import Row

Runner = Callable[[Case], Iterator[Row]]


class CaseSkippedError(Exception):
    """A case needs something that is not on this machine; the text says what to give."""
