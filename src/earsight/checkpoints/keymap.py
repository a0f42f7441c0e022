"""Key maps: a table from the names of a published file to ours, total in both directions.

A pattern is a name in which `{i}` stands for one piece without a dot (a number, `weight`, `bias`)
and `*` at the end for any rest; the same marks appear in the target. The first pattern of the
table that fits decides.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

from earsight.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Dropped:
    """Marks entries that are left out on purpose, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Target name of a tensor whose layout changes, with the functions both ways."""

    target: str
    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Stacked:
    """Target name of one of `count` entries of equal shape that are one tensor here.

    They lie along the first axis, this one at place `index`.
    """

    target: str
    index: int
    count: int


KeyMap = Mapping[str, str | Dropped | Moved | Stacked]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one published entry: our name, or the reason why it was left out."""

    published: str
    own: str | None
    reason: str | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Account:
    """Key-by-key account of one conversion, in the order of the file."""

    rows: tuple[Row, ...] = field(default=())

    @property
    def used(self) -> tuple[Row, ...]:
        """Rows of the entries that went into our network."""
        return tuple(row for row in self.rows if row.own is not None)

    @property
    def dropped(self) -> tuple[Row, ...]:
        """Rows of the entries that were left out with a reason."""
        return tuple(row for row in self.rows if row.own is None)


@dataclass(frozen=True)
class Translation:
    """Entries under our names, and where each came from."""

    entries: dict[str, Tensor]
    account: Account


def translate(entries: Mapping[str, Tensor], keys: KeyMap) -> Translation:
    """Rename published entries to ours.

    Raises WeightsError that lists every entry the table does not know and every name that two
    entries claim.
    """
    own: dict[str, Tensor] = {}
    pieces: dict[str, list[Tensor | None]] = {}
    rows: list[Row] = []
    problems: list[str] = []
    for name, tensor in entries.items():
        shape = tuple(tensor.shape)
        found = _find(name, keys)
        if found is None:
            problems.append(f"{name} {shape}: not in the table")
            continue
        if isinstance(found, Dropped):
            rows.append(Row(name, None, found.reason, shape))
            continue
        target, change = found
        rows.append(Row(name, target, None, shape))
        if isinstance(change, Stacked):
            places = pieces.setdefault(target, [None] * change.count)
            taken = places[change.index] is not None
            places[change.index] = tensor
        else:
            taken = target in own
            own[target] = tensor if change is None else change.forward(tensor)
        if taken:
            problems.append(f"{name}: {target} is filled already")
    problems += _join(pieces, own)
    if problems:
        raise WeightsError(_list(problems, len(entries), "entries of the file have no place"))
    return Translation(own, Account(tuple(rows)))


def untranslate(own: Mapping[str, Tensor], keys: KeyMap) -> dict[str, Tensor]:
    """Our entries under their published names; what the table drops stays away.

    Raises WeightsError that lists every entry of ours that no pattern produces.
    """
    published: dict[str, Tensor] = {}
    problems: list[str] = []
    for name, tensor in own.items():
        known = False
        for pattern, target in keys.items():
            if isinstance(target, Dropped):
                continue
            captured = _match(target if isinstance(target, str) else target.target, name)
            if captured is None:
                continue
            known = True
            if isinstance(target, Stacked):  # the patterns of its other pieces follow
                piece = tensor.chunk(target.count)[target.index]
                published[_fill(pattern, captured)] = piece
                continue
            restored = target.backward(tensor) if isinstance(target, Moved) else tensor
            published[_fill(pattern, captured)] = restored
            break
        if not known:
            problems.append(f"{name}: not produced by the table")
    if problems:
        raise WeightsError(_list(problems, len(own), "entries have no published name"))
    return published


def load_strict(
    module: nn.Module, entries: Mapping[str, Tensor], keys: KeyMap | None = None
) -> Account:
    """Fill every parameter and stored buffer of `module`, or change nothing and raise.

    Without `keys` the entries must have our names already. Floating entries take the module's
    precision. A module on the meta device takes over the tensors given instead of copying them.
    Raises WeightsError that lists every unknown, missing and ill-shaped entry at once.
    """
    if keys is None:
        rows = (Row(name, name, None, tuple(value.shape)) for name, value in entries.items())
        translation = Translation(dict(entries), Account(tuple(rows)))
    else:
        translation = translate(entries, keys)
    expected = module.state_dict()
    problems = _misfits(translation.entries, expected)
    on_meta = any(tensor.is_meta for tensor in expected.values())
    given_meta = any(tensor.is_meta for tensor in translation.entries.values())
    if on_meta and not given_meta:
        stuck = [name for name, buffer in module.named_buffers() if buffer.is_meta]
        problems += [
            f"{name}: a buffer that no file holds; build the network on a real device"
            for name in stuck
            if name not in expected
        ]
    if problems:
        raise WeightsError(_list(problems, max(len(expected), len(entries)), "entries do not fit"))
    module.load_state_dict(
        {name: _as(tensor, expected[name]) for name, tensor in translation.entries.items()},
        strict=True,
        assign=on_meta or given_meta,
    )
    return translation.account


def _misfits(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    problems = [f"{name}: missing in the file" for name in expected if name not in given]
    for name, tensor in given.items():
        if name not in expected:
            problems.append(f"{name}: the network has no such entry")
        elif tensor.shape != expected[name].shape:
            file, model = tuple(tensor.shape), tuple(expected[name].shape)
            problems.append(f"{name}: file {file}, network {model}")
        elif tensor.is_floating_point() != expected[name].is_floating_point():
            problems.append(f"{name}: file {tensor.dtype}, network {expected[name].dtype}")
    return problems


def _as(tensor: Tensor, expected: Tensor) -> Tensor:
    """`tensor` in the precision and dense layout that the network keeps."""
    return tensor.to(expected.dtype).contiguous()


def _list(problems: list[str], count: int, what: str) -> str:
    shown = "; ".join(problems[:40])
    more = f"; and {len(problems) - 40} more" if len(problems) > 40 else ""
    return f"{len(problems)} of {count} {what}: {shown}{more}"


def _join(pieces: Mapping[str, list[Tensor | None]], own: dict[str, Tensor]) -> list[str]:
    """Put stacked tensors into `own`; the problems of those that are incomplete."""
    problems: list[str] = []
    for target, places in pieces.items():
        given = [tensor for tensor in places if tensor is not None]
        if target in own:
            problems.append(f"{target} is filled already, by one entry and by pieces")
        elif len(given) < len(places):
            problems.append(f"{target}: {len(given)} of its {len(places)} pieces are in the file")
        elif len({tensor.shape for tensor in given}) > 1:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in given)
            problems.append(f"{target}: pieces of one shape expected, got {shapes}")
        else:
            own[target] = torch.cat(given)
    return problems


def _find(name: str, keys: KeyMap) -> tuple[str, Moved | Stacked | None] | Dropped | None:
    for pattern, target in keys.items():
        captured = _match(pattern, name)
        if captured is None:
            continue
        if isinstance(target, Dropped):
            return target
        if isinstance(target, Moved | Stacked):
            return _fill(target.target, captured), target
        return _fill(target, captured), None
    return None


def _match(pattern: str, name: str) -> dict[str, str] | None:
    found = _compiled(pattern).fullmatch(name)
    return None if found is None else found.groupdict()


def _fill(pattern: str, captured: Mapping[str, str]) -> str:
    filled = re.sub(r"\{(\w+)\}", lambda mark: captured[mark.group(1)], pattern)
    return filled.removesuffix("*") + captured["rest"] if filled.endswith("*") else filled


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Regular expression of a pattern; `{i}` twice must be the same piece."""
    seen: set[str] = set()
    parts: list[str] = []
    for part in re.split(r"(\{\w+\}|\*$)", pattern):
        if part == "*":
            parts.append(r"(?P<rest>.+)")
        elif part.startswith("{") and part.endswith("}"):
            mark = part[1:-1]
            parts.append(f"(?P={mark})" if mark in seen else rf"(?P<{mark}>[^.]+)")
            seen.add(mark)
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts))


def require_entries(entries: Collection[str], needed: Iterable[str], *, what: str) -> None:
    """Raise WeightsError that names the missing ones of the entries by which a file is known."""
    if missing := [name for name in needed if name not in entries]:
        raise WeightsError(
            f"expected {what}, but {', '.join(missing)} is missing among {len(entries)} entries: "
            "check which file this is"
        )
