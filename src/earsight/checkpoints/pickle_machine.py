"""A pickle interpreter that reads pickles as data: nothing named in a file is imported or called.

The opcodes are split off by the standard library's `pickletools.genops`, which runs nothing, and
interpreted here on plain containers. A name in the file becomes a `Reference`; calling one works
only for the names of a `Vocabulary`, whose functions are ours. Every other name is refused.
Work and memory stay within a fixed multiple of what the file holds, whatever the file says.
"""

import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast, runtime_checkable

from earsight.checkpoints.narrow import is_dict, is_list, is_set, is_tuple, size_of_container
from earsight.errors import UnsafeFileError, WeightsError

MAX_STEPS = 2_000_000  # opcodes and container items; the largest published training file needs 1e5
BYTES_PER_BYTE = 4  # how often the texts and byte strings of a file may be copied in all

_PUSHED = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_FRESH: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_IGNORED = frozenset({"PROTO", "FRAME"})
_BROKEN = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)


@runtime_checkable
class ByteSource(Protocol):
    """What pickles are read from: bytes in memory or a mapped file."""

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes."""
        ...

    def readline(self) -> bytes:
        """Bytes up to and including the next line end."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """A module-level name mentioned in a pickle; the thing itself is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Inert:
    """Stand-in for an object of a known harmless class: what the file says about it, as data."""

    kind: Reference
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict[Any, Any])
    elements: list[Any] = field(default_factory=list[Any])


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The names a pickle may use.

    `calls` maps (module, name) to our own function of the argument tuple; `states` maps a type to
    our own function that takes up a state for a value of it; names that `inert` accepts become
    `Inert` records when called.
    """

    calls: Mapping[tuple[str, str], Callable[[tuple[Any, ...]], Any]]
    states: Mapping[type, Callable[[Any, Any], None]]
    inert: Callable[[str, str], bool]


class PickleMachine:
    """Interprets one pickle.

    `where` names the file in messages; `size_bytes` bounds copies; `persistent` resolves the
    identifiers by which torch files point to their tensors.
    """

    def __init__(
        self,
        source: ByteSource,
        vocabulary: Vocabulary,
        *,
        where: str,
        size_bytes: int,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.names: set[str] = set()
        self._source = source
        self._vocabulary = vocabulary
        self._where = where
        self._persistent = persistent
        self._steps_left = MAX_STEPS
        self._bytes_left = BYTES_PER_BYTE * size_bytes + 2**16
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._actions: Mapping[str, Callable[[Any], None]] = self._table()

    def run(self) -> Any:
        """The value the pickle describes.

        Raises UnsafeFileError for a name outside the vocabulary, WeightsError for a broken pickle.
        """
        step, position = "start", 0
        try:
            for opcode, argument, at in pickletools.genops(cast(IO[bytes], self._source)):
                step, position = opcode.name, at
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._spend(1)
                self._step(opcode.name, argument)
        except WeightsError as error:
            if str(error).startswith(self._where):
                raise
            raise type(error)(f"{self._where}: {error}") from error
        except _BROKEN as error:
            detail = str(error)[:200] or type(error).__name__
            raise WeightsError(
                f"{self._where}: expected a readable pickle, it breaks after {step} at byte "
                f"{position} ({detail}): the file is damaged or of another kind, fetch it again"
            ) from error
        raise WeightsError(f"{self._where}: expected a pickle, found its end missing")

    def _step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self._stack.append(argument)
        elif name in _FRESH:
            self._stack.append(_FRESH[name]())
        elif name in self._actions:
            self._actions[name](argument)
        elif name not in _IGNORED:
            raise UnsafeFileError(
                f"{self._where}: uses the pickle instruction {name}, which weight files have no "
                "use for; nothing of the file was run"
            )

    def _table(self) -> Mapping[str, Callable[[Any], None]]:
        return {
            "MARK": self._mark,
            "POP": self._pop,
            "POP_MARK": lambda _: self._drop(self._to_mark()),
            "DUP": lambda _: self._push(self._stack[-1]),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), self._get),
            "TUPLE": lambda _: self._push(tuple(self._to_mark())),
            **{f"TUPLE{count}": self._tuple_of(count) for count in (1, 2, 3)},
            "LIST": lambda _: self._push(self._to_mark()),
            "DICT": lambda _: self._fill(self._to_mark(), fresh={}),
            "FROZENSET": lambda _: self._push(frozenset(map(_key, self._to_mark()))),
            "APPEND": lambda _: self._extend([self._stack.pop()]),
            "APPENDS": lambda _: self._extend(self._to_mark()),
            "ADDITEMS": lambda _: self._add(self._to_mark()),
            "SETITEM": lambda _: self._fill([self._stack.pop(-2), self._stack.pop()]),
            "SETITEMS": lambda _: self._fill(self._to_mark()),
            "GLOBAL": lambda both: self._name(*str(both).split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(self._stack.pop(-2), self._stack.pop()),
            "INST": self._instance,
            "OBJ": lambda _: self._call_all(self._to_mark()),
            "REDUCE": lambda _: self._call(self._stack.pop(-2), self._stack.pop()),
            "NEWOBJ": lambda _: self._call(self._stack.pop(-2), self._stack.pop()),
            "NEWOBJ_EX": self._new_with_keywords,
            "BUILD": self._build,
            "PERSID": self._resolve,
            "BINPERSID": lambda _: self._resolve(self._stack.pop()),
        }

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise WeightsError(
                f"{self._where}: needs more than {MAX_STEPS} steps to be read, far more than any "
                "weight file; refused"
            )

    def _spend_on(self, value: Any) -> None:
        """Count what a function of the vocabulary may copy out of one argument."""
        if isinstance(value, str | bytes | bytearray):
            self._bytes_left -= len(value)
            if self._bytes_left < 0:
                raise WeightsError(
                    f"{self._where}: copies its contents more than {BYTES_PER_BYTE} times, as no "
                    "weight file does; refused"
                )
        else:
            self._spend(size_of_container(value) or 0)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self, _: Any) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        inner, self._stack = self._stack, self._outer.pop()
        return inner

    def _drop(self, _: Any) -> None:
        """Forget a value."""

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _put(self, index: Any) -> None:
        self._memo[int(index)] = self._stack[-1]

    def _get(self, index: Any) -> None:
        self._stack.append(self._memo[int(index)])

    def _tuple_of(self, count: int) -> Callable[[Any], None]:
        def build(_: Any) -> None:
            items = tuple(self._stack[-count:])
            if len(items) < count:
                raise IndexError("a tuple needs more items than there are")
            self._stack[-count:] = [items]

        return build

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Inert):
            target.elements.extend(values)
        elif is_list(target):
            target.extend(values)
        else:
            raise TypeError(f"items are appended to a {type(target).__name__}")

    def _add(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not is_set(target):
            raise TypeError(f"items are added to a {type(target).__name__}")
        target.update(map(_key, values))

    def _fill(self, values: list[Any], *, fresh: dict[Any, Any] | None = None) -> None:
        if fresh is not None:
            self._stack.append(fresh)
        target = self._stack[-1]
        items = target.items if isinstance(target, Inert) else target
        if not is_dict(items):
            raise TypeError(f"entries are put into a {type(target).__name__}")
        for name, value in zip(values[::2], values[1::2], strict=True):
            items[_key(name)] = value

    def _name(self, module: Any, name: Any = None) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a class is named by something that is not text")
        known = (module, name) in self._vocabulary.calls or self._vocabulary.inert(module, name)
        if not known:
            raise UnsafeFileError(
                f"{self._where}: asks for {module[:100]}.{name[:100]}, which no weight file needs; "
                "nothing of the file was run. Expected tensors, numbers, texts and the classes "
                "that training programs leave behind; get the file from its official address"
            )
        self.names.add(f"{module}.{name}")
        self._stack.append(Reference(module, name))

    def _instance(self, both: Any) -> None:
        arguments = self._to_mark()
        self._name(*str(both).split(" ", 1))
        self._call(self._stack.pop(), tuple(arguments))

    def _call_all(self, values: list[Any]) -> None:
        self._call(values[0], tuple(values[1:]))

    def _new_with_keywords(self, _: Any) -> None:
        kind, arguments, keywords = self._stack.pop(-3), self._stack.pop(-2), self._stack.pop()
        if keywords:
            raise TypeError(f"{kind} is made with keyword arguments")
        self._call(kind, arguments)

    def _call(self, target: Any, arguments: Any) -> None:
        if not isinstance(target, Reference):
            raise UnsafeFileError(
                f"{self._where}: calls a {type(target).__name__}, which weight files never do; "
                "nothing of the file was run"
            )
        if not is_tuple(arguments):
            raise TypeError(f"{target} gets a {type(arguments).__name__} of arguments")
        for argument in arguments:
            self._spend_on(argument)
        make = self._vocabulary.calls.get((target.module, target.name))
        self._stack.append(Inert(target, arguments) if make is None else make(arguments))

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        target: object = self._stack[-1]
        for part in state if is_tuple(state) else (state,):
            self._spend_on(part)
        if isinstance(target, Inert):
            target.state = state
            return
        kind = type(target)
        take_up = self._vocabulary.states.get(kind)
        if take_up is None:
            raise UnsafeFileError(
                f"{self._where}: sets the inside of a {kind.__name__}, which weight files "
                "never do; nothing of the file was run"
            )
        take_up(target, state)

    def _resolve(self, identifier: Any) -> None:
        if self._persistent is None:
            raise WeightsError(
                f"{self._where}: points to data outside itself: a plain pickle was expected"
            )
        self._stack.append(self._persistent(identifier))


def _key(value: Any) -> Any:
    """`value` where hashing it takes constant time; nested tuples could take exponential time."""
    parts: tuple[Any, ...] = value if is_tuple(value) else (value,)
    for part in parts:
        if not isinstance(part, str | bytes | int | float | complex | Reference | None):
            raise TypeError(f"an entry is named by a {type(part).__name__}")
        if isinstance(part, int) and part.bit_length() > 64:
            raise TypeError("an entry is named by a number of more than 64 bits")
    return value
