"""Arrays of ours against stored ones: tolerances as the cases write them, one row per output."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from earsight.parity import fill
from earsight.parity.cases import Case

Status = Literal["pass", "fail", "error", "unknown", "skipped"]
Array = NDArray[Any]
Value = Tensor | Array | float | int | Sequence[str] | Sequence[float]
Outputs = Mapping[str, Value | Callable[[], Value]]
"""What a runner hands back: output name -> array, or a function that makes it when asked."""

DEFAULT_ABSOLUTE = 1e-4  # for an output that the case's tolerance table does not name
NORM_FLOOR = 1e-6  # a norm this far below the largest one is rounding, e.g. of a softmax shift
ARRAY_WORDS = ("arrays", "default", "waveforms", "output", "outputs")
TOKEN_WORDS = ("tokens", "indices", "codes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """Allowed difference: absolute + relative * |stored|, each element or on average."""

    absolute: float = 0.0
    relative: float = 0.0
    average: bool = False

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] if self.absolute or not self.relative else []
        parts += [f"{self.relative:g} rel"] if self.relative else []
        return " + ".join(parts) + (" mean" if self.average else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the report; `error` is the largest absolute difference that was seen."""

    system: str
    case: str
    output: str
    status: Status
    shape: tuple[int, ...] | None = None
    error: float | None = None
    tolerance: str = ""
    detail: str = ""


def compare(case: Case, outputs: Outputs, *, given: Collection[str] = ()) -> Iterator[Row]:
    """One row per stored array, then one per stored mean, spread and shape of a whole array.

    An output that the runner does not compute is `unknown`; one that raises is an `error`.
    Inputs, and arrays named in `given`, have no row.
    """
    made: dict[str, Value] = {}
    for name in case.stored:
        if name not in outputs:
            if name not in given and name not in fill.table(case.spec.get("inputs")):
                yield _row(case, name, "unknown", detail="no rule computes this output")
            continue
        try:
            made[name] = _made(outputs[name])
            yield compared(case, name, made[name])
        except Exception as error:  # one output must not stop the others
            yield _row(case, name, "error", detail=f"{type(error).__name__}: {error}")
    yield from _whole_arrays(case, outputs, made)


def compared(case: Case, name: str, ours: Value) -> Row:
    """The row of one output, cropped as the case's note for it says."""
    stored = case.stored[name]
    if stored.dtype.kind in "US":
        return _compared_text(case, name, ours)
    array = as_array(ours)
    if array.shape != stored.shape:
        array = crop(array, stored.shape, case.note(name))
    if array.shape != stored.shape:
        detail = f"shape {array.shape}, stored {stored.shape}"
        return _row(case, name, "fail", shape=array.shape, detail=detail)
    limit = tolerance(case.spec.get("tolerance"), name, stored)
    return judged(case, name, array, stored, limit)


def judged(case: Case, name: str, ours: Array, stored: Array, limit: Tolerance) -> Row:
    """The row of two arrays of one shape; values that are not numbers must agree in place."""
    left, right = ours.astype(np.float64), stored.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(left - right), nan=np.inf, posinf=np.inf)
    gap = np.where((left == right) | (np.isnan(left) & np.isnan(right)), 0.0, gap)
    allowed = limit.absolute + limit.relative * np.abs(np.where(np.isfinite(right), right, 0.0))
    worst = float(gap.max()) if gap.size else 0.0
    fits = (
        bool(gap.mean() <= limit.absolute)
        if limit.average and gap.size
        else bool((gap <= allowed).all())
    )
    detail = "" if fits else f"{int((gap > allowed).sum())} of {gap.size} values too far"
    return _row(
        case,
        name,
        "pass" if fits else "fail",
        shape=ours.shape,
        error=worst,
        tolerance=str(limit),
        detail=detail,
    )


def tolerance(spec: Any, name: str, stored: Array) -> Tolerance:
    """The tolerance for one output out of a number, or of a table by name, pattern or sort.

    Whole numbers are exact unless their own entry says otherwise.
    """
    if isinstance(spec, int | float):
        exact = stored.dtype.kind in "iub" and spec < 1
        return Tolerance() if exact else Tolerance(absolute=float(spec))
    table = fill.table(spec)
    is_norm = "norm" in name or name.startswith("grad ")
    own = _group_entry(table, "grad", stored) if is_norm else None
    own = own or _own_entry(table, name)
    if own is not None:
        return own
    if stored.dtype.kind in "iub":
        fits = [table[word] for word in TOKEN_WORDS if word in table]
        return Tolerance(absolute=float(fits[0])) if fits else Tolerance()
    if "loss" in name:
        group = _group_entry(table, "loss", stored)
        if group is not None:
            return group
    if "absolute" in table or "relative" in table:
        return Tolerance(
            absolute=float(table.get("absolute", 0)), relative=float(table.get("relative", 0))
        )
    fits = [table[word] for word in ARRAY_WORDS if word in table]
    return _entry(fits[0]) if fits else Tolerance(absolute=DEFAULT_ABSOLUTE)


def crop(full: Array, shape: tuple[int, ...], note: str) -> Array:
    """The part of `full` that a note speaks of, when it has the stored shape.

    Understood: every Nth row / column / frame, "::N" or "0,10,20,...", "last N", "first N",
    "top-left", "cropped", the first item of a batch. Without such a word `full` comes back whole,
    so that a wrong size stays visible.
    """
    steps = _steps(note)
    if not steps and not re.search(r"\b(first|last|crop\w*|top-left|head|tail)\b|\[:", note):
        return full
    part = full[:1] if "first batch item" in note and full.ndim == len(shape) else full
    if part.ndim == len(shape) + 1 and part.shape[0] and ("first" in note or len(part) == 1):
        part = part[0]
    if part.ndim != len(shape):
        return full
    for axis, size in enumerate(shape):
        index = [slice(None)] * part.ndim
        step = next((n for n in steps if -(-part.shape[axis] // n) == size), None)
        if part.shape[axis] == size:
            continue
        if step:
            index[axis] = slice(None, None, step)
        elif re.search(r"\blast \d+", note) and axis == part.ndim - 1:
            index[axis] = slice(part.shape[axis] - size, None)
        else:
            index[axis] = slice(None, size)
        part = part[tuple(index)]
    return part if part.shape == tuple(shape) else full


def equal(case: Case, output: str, ours: Any, expected: Any) -> Row:
    """The row of a constant (list, table, text) that must be the same."""
    same = bool(ours == expected)
    detail = "" if same else f"{str(ours)[:80]}, stored {str(expected)[:80]}"
    status: Status = "pass" if same else "fail"
    return _row(case, output, status, tolerance="equal", error=0.0 if same else None, detail=detail)


def number(case: Case, output: str, ours: Value, expected: Any) -> Row:
    """The row of numbers that a case states in its JSON."""
    stored = np.asarray(expected, dtype=np.float64)
    limit = tolerance(case.spec.get("tolerance"), output, stored)
    return judged(case, output, as_array(ours), stored, limit)


def as_array(value: Value) -> Array:
    """NumPy array of an output."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def _steps(note: str) -> list[int]:
    steps = [int(number) for number in re.findall(r"\bevery (\d+)(?:st|nd|rd|th)\b", note)]
    steps += [int(number) for number in re.findall(r"::(\d+)", note)]
    series = re.search(r"\b0, ?(\d+), ?(\d+), ?\.\.\.", note)
    if series and int(series[2]) == 2 * int(series[1]):
        steps.append(int(series[1]))
    return steps


def _own_entry(table: Mapping[str, Any], name: str) -> Tolerance | None:
    for key, limit in table.items():
        bare = re.sub(r"\s*\(relative\)$|_relative$", "", key)
        named = bare == name or (bare not in ("tokens", "losses") and fnmatchcase(name, bare))
        plural = bare.endswith("s") and re.fullmatch(re.escape(bare[:-1]) + r"[_.]?\d+", name)
        if named or plural:
            return _entry(limit, relative=bare != key)
    return None


def _group_entry(table: Mapping[str, Any], word: str, stored: Array) -> Tolerance | None:
    for key, limit in table.items():
        if re.match(rf"{word}(e?s)?\b", key.replace("_", " ")) or f"and {word}" in key:
            floor = NORM_FLOOR * float(np.abs(stored).max()) if stored.size else 0.0
            group = _entry(limit, relative="relative" in key)
            return Tolerance(absolute=floor, relative=group.relative) if group.relative else group
    return None


def _entry(limit: Any, *, relative: bool = False) -> Tolerance:
    """A table's value: a number, {absolute, relative}, or words that begin with a number."""
    if isinstance(limit, dict):
        sizes = fill.table(limit)
        return Tolerance(
            absolute=float(sizes.get("absolute", 0)), relative=float(sizes.get("relative", 0))
        )
    words = str(limit)
    number = re.match(r"\s*([-+.\de]+)", words)
    size = float(number[1]) if number else DEFAULT_ABSOLUTE
    if relative or "relative" in words:
        return Tolerance(relative=size)
    return Tolerance(absolute=size, average="mean" in words)


def _whole_arrays(case: Case, outputs: Outputs, made: dict[str, Value]) -> Iterator[Row]:
    """Rows for the stored [mean, spread] and shape of arrays before they were cropped."""
    for name, (expected, shape) in _summaries(case).items():
        found = next((n for n in (name, f"tap_{name}") if n in outputs), None)
        if found is None:
            continue
        try:
            array = as_array(made[found] if found in made else _made(outputs[found]))
        except Exception as error:
            if found not in case.stored:  # else its own row says so already
                yield _row(case, name, "error", detail=f"{type(error).__name__}: {error}")
            continue
        if shape is not None and array.shape != tuple(shape):
            detail = f"shape {array.shape}, stored {tuple(shape)}"
            yield _row(case, f"{name} (whole)", "fail", shape=array.shape, detail=detail)
        elif expected is not None:
            limit = tolerance(case.spec.get("tolerance"), found, np.zeros(1, np.float32))
            spread = array.std(ddof=1) if array.size > 1 else 0.0
            ours = np.array([array.mean(dtype=np.float64), array.std(dtype=np.float64)])
            if abs(float(spread) - expected[1]) < abs(ours[1] - expected[1]):
                ours[1] = float(spread)  # some cases divide by n - 1
            yield judged(case, f"{name} (mean, spread)", ours, np.array(expected), limit)


def _summaries(case: Case) -> dict[str, tuple[list[float] | None, list[int] | None]]:
    found: dict[str, tuple[list[float] | None, list[int] | None]] = {}
    spec = case.spec
    for name, value in fill.table(spec.get("stats")).items():
        entry = fill.table(value)
        if "mean" in entry and "std" in entry:
            found[name] = ([float(entry["mean"]), float(entry["std"])], entry.get("shape"))
    shapes = {**fill.table(spec.get("full_shapes")), **fill.table(spec.get("tap_shapes"))}
    found.update({name: (None, shape) for name, shape in shapes.items()})
    for block in ("full_mean_std", "tap_full_mean_std"):
        for name, pair in fill.table(spec.get(block)).items():
            found[name] = ([float(pair[0]), float(pair[1])], shapes.get(name))
    return found


def _compared_text(case: Case, name: str, ours: Value) -> Row:
    texts = [str(text) for text in as_array(ours).ravel()]
    expected = [str(text) for text in case.stored[name].ravel()]
    if texts == expected:
        return _row(case, name, "pass", shape=(len(texts),), error=0.0, tolerance="equal")
    wrong = [f"{a!r}, stored {b!r}" for a, b in zip(texts, expected, strict=False) if a != b]
    detail = (wrong or [f"{len(texts)} texts, stored {len(expected)}"])[0]
    return _row(case, name, "fail", shape=(len(texts),), tolerance="equal", detail=detail)


def _made(value: Value | Callable[[], Value]) -> Value:
    return value() if callable(value) else value


def _row(case: Case, output: str, status: Status, **parts: Any) -> Row:
    return Row(system=case.system, case=case.name, output=output, status=status, **parts)
