"""Checks of values read from files whose result a type checker can follow."""

from typing import Any, TypeGuard


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """Whether `value` is a dictionary."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether `value` is a list."""
    return isinstance(value, list)


def is_set(value: object) -> TypeGuard[set[Any]]:
    """Whether `value` is a set that can grow."""
    return isinstance(value, set)


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Whether `value` is a tuple."""
    return isinstance(value, tuple)


def size_of_container(value: object) -> int | None:
    """Number of items of a list, tuple, dictionary or set; None for anything else."""
    return len(value) if isinstance(value, list | tuple | dict | set | frozenset) else None  # pyright: ignore[reportUnknownArgumentType]
