"""What a runner of one kind of case is, and what all of them need."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from earsight.errors import InputError
from earsight.parity.cases import Case
from earsight.parity.compare import Row

Runner = Callable[[Case], Iterator[Row]]


class CaseSkippedError(Exception):
    """A case needs something that is not on this machine; the text says what to give."""


def must_be(config: Mapping[str, Any], **fixed: int | float | str | bool | None) -> None:
    """Refuse a case that asks for what an implementation here holds fixed.

    Names absent from `config` are at their published value. Raises InputError with all of them.
    """
    others = [
        f"{name} {config[name]!r} (here always {value!r})"
        for name, value in fixed.items()
        if name in config and config[name] != value
    ]
    if others:
        raise InputError("the case asks for what is fixed here: " + ", ".join(others))
