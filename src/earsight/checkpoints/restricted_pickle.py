"""Names that weight files and feature files may use; NumPy arrays rebuilt as data."""

import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from earsight.checkpoints.narrow import is_dict, is_list, is_set, is_tuple
from earsight.checkpoints.pickle_machine import Inert, PickleMachine, Reference, Vocabulary
from earsight.errors import InputError, UnsafeFileError, WeightsError

INERT_PACKAGES = (
    "pytorch_lightning.callbacks.",
    "lightning.pytorch.callbacks.",
    "omegaconf.",
)
INERT_NAMES = frozenset(
    {
        ("argparse", "Namespace"),
        ("types", "SimpleNamespace"),
        ("typing", "Any"),
        ("pytorch_lightning.utilities.parsing", "AttributeDict"),
        ("lightning_fabric.utilities.data", "AttributeDict"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        *(
            ("pathlib", f"{system}Path")
            for system in ("Posix", "Windows", "PurePosix", "PureWindows", "")
        ),
        *(
            (module, name)
            for module in ("builtins", "__builtin__")
            for name in (
                "object",
                "str",
                "unicode",
                "int",
                "long",
                "float",
                "bool",
                "tuple",
                "slice",
            )
        ),
    }
)
NUMERIC_KINDS = "biufc"
Call = Callable[[tuple[Any, ...]], Any]


class DtypeRecord:
    """A NumPy element type as a pickle spells it: the code comes first, the byte order later."""

    def __init__(self, code: str) -> None:
        self.dtype = _numeric(code)


def inert(module: str, name: str) -> bool:
    """Whether a class is known as one that training programs leave in weight files."""
    if (module, name) in INERT_NAMES:
        return True
    return name.isidentifier() and f"{module}.".startswith(INERT_PACKAGES)


def _numeric(code: str) -> np.dtype[Any]:
    """Element type of a NumPy code such as 'f4'; refuses objects, texts, records."""
    stripped = code.lstrip("<>|=")
    if stripped[:1] == "O":
        raise UnsafeFileError(
            "a NumPy array of Python objects is inside, expected numbers; nothing of it was run"
        )
    if stripped[:1] not in NUMERIC_KINDS or not stripped[1:].isdigit():
        raise WeightsError(f"a NumPy array of '{code[:20]}' is inside, expected numbers")
    return np.dtype(code)


def _dtype(arguments: tuple[Any, ...]) -> DtypeRecord:
    code = arguments[0]
    return DtypeRecord(code.decode("latin-1") if isinstance(code, bytes) else str(code))


def _take_dtype(record: DtypeRecord, state: Any) -> None:
    """State: (version, byte order, subarray, names, fields, size, alignment, flags, ...)."""
    order, described = state[1], state[2:5]
    if any(part is not None for part in described):
        raise WeightsError("a NumPy array of records is inside, expected numbers")
    order = order.decode("latin-1") if isinstance(order, bytes) else order
    if order not in ("<", ">", "|", "="):
        raise WeightsError("a NumPy array has an unknown byte order")
    record.dtype = record.dtype.newbyteorder(order)


def _empty_array(arguments: tuple[Any, ...]) -> NDArray[Any]:
    if arguments[0] != Reference("numpy", "ndarray"):
        raise UnsafeFileError("a NumPy array of an unknown class is inside; nothing of it was run")
    return np.empty(0, dtype=np.int8)


def _take_array(array: NDArray[Any], state: Any) -> None:
    """State: (version, shape, element type, Fortran order, bytes); fills `array` in place."""
    _, shape, record, fortran, raw = state if len(state) == 5 else (1, *state)
    dims, content = _checked(shape, record, raw)
    array.__setstate__((1, dims, record.dtype, cast(Any, bool(fortran)), content))


def _from_buffer(arguments: tuple[Any, ...]) -> NDArray[Any]:
    raw, record, shape, order = arguments
    dims, content = _checked(shape, record, raw)
    if order not in ("C", "F"):
        raise WeightsError("a NumPy array is stored in an unknown order")
    flat = np.frombuffer(bytearray(content), dtype=record.dtype)
    return flat.reshape(dims, order=cast(Any, order))


def _scalar(arguments: tuple[Any, ...]) -> Any:
    record, raw = arguments
    _, content = _checked((), record, raw)
    return np.frombuffer(content, dtype=record.dtype)[0]


def _checked(shape: Any, record: Any, raw: Any) -> tuple[tuple[int, ...], bytes]:
    """Shape and bytes of an array when they fit its element type."""
    if not isinstance(record, DtypeRecord):
        raise WeightsError("a NumPy array has no element type")
    content = raw.encode("latin-1") if isinstance(raw, str) else raw
    if not isinstance(content, bytes | bytearray):
        raise UnsafeFileError(
            "a NumPy array of Python objects is inside, expected numbers; nothing of it was run"
        )
    dims = tuple(int(size) for size in shape)
    if len(dims) > 32 or not all(0 <= size < 2**62 for size in dims):
        raise WeightsError("a NumPy array has an impossible shape")
    expected = math.prod(dims) * record.dtype.itemsize
    if expected != len(content):
        raise WeightsError(
            f"a NumPy array of shape {dims} should hold {expected} bytes, found {len(content)}"
        )
    return dims, bytes(content)


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    pairs = arguments[0] if arguments else ()
    for name, value in pairs.items() if is_dict(pairs) else pairs:
        if not isinstance(name, str | int | float | Reference):
            raise WeightsError("a dictionary entry is not named by a text or number")
        made[name] = value
    return made


def _flat_set(arguments: tuple[Any, ...]) -> set[Any]:
    items = list(arguments[0]) if arguments else []
    if not all(isinstance(item, str | int | float | bytes | None) for item in items):
        raise WeightsError("a set holds something else than texts and numbers")
    return set(items)


def _frozen_set(arguments: tuple[Any, ...]) -> frozenset[Any]:
    return frozenset(_flat_set(arguments))


def _encode(arguments: tuple[Any, ...]) -> bytes:
    text, encoding = arguments
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise WeightsError("a text is stored in an unexpected encoding")
    return text.encode("latin-1")


def _bytes(arguments: tuple[Any, ...]) -> bytes:
    if not arguments:
        return b""
    content = arguments[0]
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    return _encode(arguments)


def _list(arguments: tuple[Any, ...]) -> list[Any]:
    items: Any = arguments[0] if arguments else ()
    if not (is_list(items) or is_tuple(items) or is_set(items)):
        raise WeightsError("a list is made of something that is none")
    return list(items)


def _complex(arguments: tuple[Any, ...]) -> complex:
    real, imaginary = arguments
    return complex(float(real), float(imaginary))


def _reconstructed(arguments: tuple[Any, ...]) -> Any:
    """What protocols 0 to 2 write for an object: its class, its base class, its base value."""
    kind = arguments[0]
    if not isinstance(kind, Reference):
        raise UnsafeFileError("an object of no class is inside; nothing of it was run")
    make = PLAIN_CALLS.get((kind.module, kind.name))
    return Inert(kind) if make is None else make(())


def _drop_attributes(_: Any, state: Any) -> None:
    """State dicts carry module versions as an attribute; no reader needs them."""


PLAIN_CALLS: Mapping[tuple[str, str], Call] = {
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): lambda _: {},
    ("collections", "Counter"): _ordered,
    ("collections", "deque"): _list,
    ("_codecs", "encode"): _encode,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("copy_reg", "_reconstructor"): _reconstructed,
    **{
        (module, name): call
        for module in ("builtins", "__builtin__")
        for name, call in (
            ("set", _flat_set),
            ("frozenset", _frozen_set),
            ("list", _list),
            ("dict", _ordered),
            ("bytes", _bytes),
            ("bytearray", _bytes),
            ("complex", _complex),
        )
    },
}
NUMPY_CALLS: Mapping[tuple[str, str], Call] = {
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): lambda _: _empty_array((Reference("numpy", "ndarray"),)),
    **{
        (f"numpy.{core}.{module}", name): call
        for core in ("core", "_core")
        for module, name, call in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}
PLAIN_STATES: Mapping[type, Callable[[Any, Any], None]] = {
    dict: _drop_attributes,
    DtypeRecord: _take_dtype,
    np.ndarray: _take_array,
}
ARRAY_VOCABULARY = Vocabulary(
    calls={**PLAIN_CALLS, **NUMPY_CALLS}, states=PLAIN_STATES, inert=lambda _module, _name: False
)


def read_array_pickle(path: Path) -> NDArray[Any]:
    """The NumPy array of numbers that a pickle file holds, protocols 2 to 5; nothing is executed.

    Raises InputError for a missing file, UnsafeFileError for a pickle that names anything else
    than NumPy arrays, WeightsError for a broken pickle or another content.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable feature file, got {error}") from error
    value = PickleMachine(
        io.BytesIO(content), ARRAY_VOCABULARY, where=str(path), size_bytes=len(content)
    ).run()
    if not isinstance(value, np.ndarray):
        raise WeightsError(f"{path}: expected one NumPy array, found a {type(value).__name__}")
    return cast(NDArray[Any], value)
