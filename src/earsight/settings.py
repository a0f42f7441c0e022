"""Frozen dataclasses to and from plain JSON values, with every problem reported at once."""

import difflib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from earsight.errors import ConfigError

Config = TypeVar("Config")


def to_plain(value: Any) -> Any:
    """Nested dataclasses and tuples as dicts and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in cast(Sequence[Any], value)]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in cast(Mapping[Any, Any], value).items()}
    return value


def from_plain(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Build dataclass `kind` from plain values, checked by field type.

    Raises ConfigError that names every unknown, missing and ill-typed field.
    """
    problems: list[str] = []
    built = _build(kind, values, "", problems)
    if problems:
        raise ConfigError(f"{kind.__name__}: " + "; ".join(problems))
    return built


def override(config: Config, assignments: list[str]) -> Config:
    """Copy of dataclass `config` with `field.path=value` texts applied, parsed by field type.

    Raises ConfigError for an unknown field (naming the nearest) or a value of the wrong type.
    """
    plain = to_plain(config)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"'{assignment}' is not FIELD=VALUE, for example optim.rate=1e-4")
        node: Any = plain
        *parents, leaf = path.split(".")
        for name in parents:
            node = _member(node, name, path)
        _member(node, leaf, path)
        node[leaf] = _parse(text)
    return from_plain(type(config), plain)


def _member(node: Any, name: str, path: str) -> Any:
    if not isinstance(node, dict) or name not in node:
        known: list[str] = sorted(node) if isinstance(node, dict) else []  # pyright: ignore
        near = difflib.get_close_matches(name, known, n=3) or known
        raise ConfigError(
            f"no field '{path}': '{name}' is unknown here, nearest: {', '.join(near)}"
        )
    return node[name]  # pyright: ignore[reportUnknownVariableType]


def _parse(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _build(kind: Any, values: Any, where: str, problems: list[str]) -> Any:
    if not isinstance(values, Mapping):
        problems.append(f"{where or 'value'}: expected fields, got {values!r}")
        return None
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    for name in values:  # pyright: ignore[reportUnknownVariableType]
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=2)  # pyright: ignore
            problems.append(
                f"{where}{name}: unknown field" + (f", did you mean {near[0]}?" if near else "")
            )
    arguments: dict[str, Any] = {}
    for name, field in known.items():
        if name in values:
            arguments[name] = _value(hints[name], values[name], f"{where}{name}", problems)
        elif field.default is MISSING and field.default_factory is MISSING:
            problems.append(f"{where}{name}: missing")
    return None if problems else kind(**arguments)


def _value(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _build(hint, value, where + ".", problems)
    if origin is Literal:
        if value is None and "none" in arguments:
            value = "none"  # as text after FIELD= it reads like the absence of a value
        if value not in arguments:
            problems.append(
                f"{where}: expected one of {', '.join(map(str, arguments))}, got {value!r}"
            )
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where, problems)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        inner = (
            arguments
            if len(arguments) == len(items) and Ellipsis not in arguments
            else ([arguments[0]] * len(items))
        )
        built = [
            _value(h, v, f"{where}[{i}]", problems)
            for i, (h, v) in enumerate(zip(inner, items, strict=True))
        ]
        return tuple(built) if origin is tuple else built
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = origin or hint
    if isinstance(plain, type) and (
        not isinstance(value, plain) or (plain is int and isinstance(value, bool))
    ):
        problems.append(f"{where}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
    return value
