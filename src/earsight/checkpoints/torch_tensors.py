"""Tensors of PyTorch files, rebuilt as views of the file itself.

The file is mapped into memory privately: reading a tensor loads only its own pages, and writing to
one never reaches the file. Every view is checked against the size of the file first.
"""

import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from earsight.checkpoints.pickle_machine import Inert, Reference, Vocabulary
from earsight.checkpoints.restricted_pickle import NUMPY_CALLS, PLAIN_CALLS, PLAIN_STATES, inert
from earsight.errors import UnsafeFileError, WeightsError

DTYPES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
_STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


@dataclass(frozen=True, slots=True)
class Storage:
    """One run of numbers in a file: `flat` is a one-axis tensor over all of them."""

    flat: Tensor


def storage_dtype(kind: Any) -> torch.dtype:
    """Element type of a storage class named in a file; refuses unknown ones by name."""
    if isinstance(kind, Reference) and kind.module in _STORAGE_MODULES and kind.name in DTYPES:
        return DTYPES[kind.name]
    raise UnsafeFileError(f"keeps tensors in '{kind}', expected plain numbers; nothing was run")


def map_file(path: str, size_bytes: int) -> mmap.mmap:
    """Private (copy-on-write) memory map of a whole file."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), size_bytes, access=mmap.ACCESS_COPY)


def view(data: mmap.mmap, *, dtype: torch.dtype, count: int, offset_bytes: int) -> Storage:
    """`count` numbers at `offset_bytes` of a mapped file.

    Raises WeightsError where they would end behind the file.
    """
    if not 0 <= count < 2**48:
        raise WeightsError(f"a tensor of {count} numbers is announced")
    end = offset_bytes + count * dtype.itemsize
    if offset_bytes < 0 or end > len(data):
        raise WeightsError(
            f"a tensor should end at byte {end}, the file has {len(data)} bytes: it is cut off or "
            "damaged, fetch it again"
        )
    if count == 0:
        return Storage(torch.empty(0, dtype=dtype))
    if offset_bytes % dtype.itemsize == 0:
        return Storage(torch.frombuffer(data, dtype=dtype, count=count, offset=offset_bytes))
    # an address that does not divide evenly: copy the bytes to one that does
    return Storage(torch.frombuffer(bytearray(data[offset_bytes:end]), dtype=dtype))


def rebuild_tensor(arguments: tuple[Any, ...]) -> Tensor:
    """Tensor of (storage, offset, sizes, strides, ...) with every index inside the storage."""
    storage, offset, sizes, strides = arguments[:4]
    if not isinstance(storage, Storage):
        raise WeightsError("a tensor without numbers is inside")
    numbers = [offset, *sizes, *strides]
    if not all(isinstance(number, int) and 0 <= number < 2**48 for number in numbers):
        raise WeightsError("a tensor has an impossible shape")
    if len(sizes) != len(strides) or len(sizes) > 32:
        raise WeightsError("a tensor has an impossible shape")
    available = storage.flat.numel()
    count = 1
    last = offset
    for size, stride in zip(sizes, strides, strict=True):
        count *= size
        last += (size - 1) * stride
    if count and (last >= available or count > available):
        raise WeightsError(
            f"a tensor of shape {tuple(sizes)} reaches beyond its {available} stored numbers"
        )
    if count == 0:
        return torch.empty(tuple(sizes), dtype=storage.flat.dtype)
    return storage.flat.as_strided(tuple(sizes), tuple(strides), offset)


def _parameter(arguments: tuple[Any, ...]) -> Any:
    data = arguments[0]
    if not isinstance(data, Tensor):
        raise WeightsError("a parameter without a tensor is inside")
    return data


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arguments[0]) if arguments else ()


def _device(arguments: tuple[Any, ...]) -> Inert:
    return Inert(Reference("torch", "device"), arguments)


def _value_only(name: Reference) -> Callable[[tuple[Any, ...]], Any]:
    def refuse(_: tuple[Any, ...]) -> Any:
        raise UnsafeFileError(f"calls {name}, which weight files never do; nothing was run")

    return refuse


_NAMED_VALUES = (
    *(Reference(module, name) for module in _STORAGE_MODULES for name in DTYPES),
    *(
        Reference("torch", name)
        for name in sorted(str(dtype).removeprefix("torch.") for dtype in DTYPES.values())
    ),
)
TORCH_VOCABULARY = Vocabulary(
    calls={
        **PLAIN_CALLS,
        **NUMPY_CALLS,
        ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch", "Size"): _size,
        ("torch", "device"): _device,
        **{(name.module, name.name): _value_only(name) for name in _NAMED_VALUES},
    },
    states=PLAIN_STATES,
    inert=inert,
)
