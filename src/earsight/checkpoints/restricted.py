"""Weight files of other programs, read as data: PyTorch (zip and older), pickle, safetensors.

No code of a file is executed and no class that it names is imported; `torch.load` is not used.
Known classes of training programs become inert records, everything else is refused by name.
Source: the layouts that `torch.save` of PyTorch 0.3 to 2.x and Lightning 1.x write.
"""

import io
import mmap
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType] # partly typed
from torch import Tensor

from earsight.checkpoints.narrow import is_dict, is_list, is_tuple
from earsight.checkpoints.pickle_machine import PickleMachine, Vocabulary
from earsight.checkpoints.torch_tensors import (
    TORCH_VOCABULARY,
    Storage,
    map_file,
    storage_dtype,
    view,
)
from earsight.errors import InputError, UnsafeFileError, WeightsError

FileFormat = Literal["torch zip", "torch before 1.6", "pickle", "safetensors"]
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_RECORDS = 200_000


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """What a weight file holds.

    `entries` are nested dicts with tensors (views of the file), numbers, texts and inert records;
    `names` are the classes the file mentions, none of which was imported.
    """

    path: Path
    entries: dict[Any, Any]
    format: FileFormat
    names: tuple[str, ...]


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read a .ckpt, .pth, .pt, .pkl or .safetensors file as data; the kind is told by its content.

    Raises InputError for a missing file, UnsafeFileError (with the name) for one that asks for
    code, WeightsError for a damaged one or another kind of file.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise InputError(f"{path}: expected a weight file, found a folder or device")
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"{path}: expected a readable weight file, got {error}") from error
    if not size:
        raise WeightsError(f"{path}: expected a weight file, found an empty file: fetch it again")
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path, size)
    if _is_safetensors(head, size):
        return _read_safetensors(path)
    _refuse_archives(path, head)
    return _read_pickles(path, size)


def state_entries(file: CheckpointFile) -> dict[str, Tensor]:
    """The named tensors of a network: under `state_dict`, under `model`, or the whole file.

    NumPy arrays count as tensors. Raises WeightsError that lists what was found instead.
    """
    for name in ("state_dict", "model", "net", None):
        part = file.entries if name is None else file.entries.get(name)
        if is_dict(part) and part:
            state = {key: _as_tensor(value) for key, value in part.items()}
            named = all(isinstance(key, str) for key in state)
            if named and all(value is not None for value in state.values()):
                return {str(key): value for key, value in state.items() if value is not None}
            if name is not None:
                wrong = [str(key)[:60] for key, value in state.items() if value is None][:8]
                raise WeightsError(
                    f"{file.path}: expected only tensors under '{name}', found other values at "
                    f"{', '.join(wrong) or 'entries without names'}"
                )
    found = ", ".join(f"{str(key)[:40]} ({type(value).__name__})" for key, value in _some(file))
    raise WeightsError(
        f"{file.path}: expected the tensors of a network under 'state_dict', under 'model' or at "
        f"the top of the file, found {found or 'nothing'}"
    )


def _some(file: CheckpointFile) -> list[tuple[Any, Any]]:
    return list(file.entries.items())[:12]


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray):
        array = cast(NDArray[Any], value)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))  # pyright: ignore[reportUnknownMemberType] # untyped in torch
    return None


def _is_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 9 or head[8:9] != b"{":
        return False
    return 2 <= struct.unpack("<Q", head[:8])[0] <= size - 8


def _read_safetensors(path: Path) -> CheckpointFile:
    try:
        entries = cast(dict[Any, Any], load_file(path))
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged safetensors file ({error}): fetch it again") from error
    return CheckpointFile(path=path, entries=entries, format="safetensors", names=())


def _refuse_archives(path: Path, head: bytes) -> None:
    for start, kind in ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz")):
        if head.startswith(start):
            raise WeightsError(
                f"{path}: expected a weight file, found a {kind} archive: give it to "
                "`earsight weights convert`, which takes the weights out"
            )
    if head.lstrip()[:1] == b"<":
        raise WeightsError(
            f"{path}: expected a weight file, found a web page: the download went wrong, "
            "fetch it again"
        )


def _entries(path: Path, value: Any) -> dict[Any, Any]:
    if not is_dict(value):
        raise WeightsError(
            f"{path}: expected named entries (a dictionary), found a {type(value).__name__}"
        )
    return value


def _read_zip(path: Path, size: int) -> CheckpointFile:
    try:
        with zipfile.ZipFile(path) as archive:
            records = {info.filename: info for info in archive.infolist()[:MAX_RECORDS]}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise WeightsError(
            f"{path}: expected a PyTorch file, its table of contents cannot be read ({error}): "
            "the file is cut off or damaged, fetch it again"
        ) from error
    data = map_file(str(path), size)
    zipped = _ZipRecords(path, data, records)
    prefix = zipped.prefix()
    content = zipped.content(f"{prefix}data.pkl")
    if zipped.has(f"{prefix}byteorder") and zipped.content(f"{prefix}byteorder") != b"little":
        raise WeightsError(f"{path}: is stored in big-endian byte order, expected little-endian")
    machine = PickleMachine(
        io.BytesIO(content),
        TORCH_VOCABULARY,
        where=str(path),
        size_bytes=len(content),
        persistent=_zip_storages(zipped, prefix),
    )
    entries = _entries(path, machine.run())
    return CheckpointFile(
        path=path, entries=entries, format="torch zip", names=tuple(sorted(machine.names))
    )


@dataclass(frozen=True)
class _ZipRecords:
    """The records of a PyTorch zip file; stored uncompressed, so they can be viewed in place."""

    path: Path
    data: mmap.mmap
    records: Mapping[str, zipfile.ZipInfo]

    def has(self, name: str) -> bool:
        return name in self.records

    def prefix(self) -> str:
        """Name of the folder that all records lie in, with its slash."""
        found = [
            name for name in self.records if name.count("/") == 1 and name.endswith("/data.pkl")
        ]
        if len(found) != 1:
            some = ", ".join(sorted(self.records)[:5])
            raise WeightsError(
                f"{self.path}: expected a PyTorch file with one data.pkl, found a zip file with "
                f"{len(self.records)} records ({some})"
            )
        prefix = found[0].removesuffix("data.pkl")
        if any(
            name.startswith((f"{prefix}code/", f"{prefix}constants.pkl")) for name in self.records
        ):
            raise UnsafeFileError(
                f"{self.path}: is a TorchScript archive, which carries program code; nothing of it "
                "was run. Expected a file of weights (a state dict)"
            )
        return prefix

    def place(self, name: str) -> tuple[int, int]:
        """Offset and length in bytes of a record's content."""
        info = self.records.get(name)
        if info is None:
            raise WeightsError(f"{self.path}: the record '{name[:80]}' is missing: fetch it again")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise WeightsError(
                f"{self.path}: the record '{name[:80]}' is compressed or encrypted, which PyTorch "
                "files never are; refused"
            )
        start = info.header_offset
        header = self.data[start : start + 30] if 0 <= start <= len(self.data) - 30 else b""
        if not header.startswith(b"PK\x03\x04"):
            raise WeightsError(f"{self.path}: the record '{name[:80]}' is damaged: fetch it again")
        name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
        offset = start + 30 + name_bytes + extra_bytes
        if offset + info.file_size > len(self.data):
            raise WeightsError(f"{self.path}: the record '{name[:80]}' is cut off: fetch it again")
        return offset, info.file_size

    def content(self, name: str) -> bytes:
        """Bytes of a small record."""
        offset, length = self.place(name)
        return self.data[offset : offset + length]


def _zip_storages(zipped: _ZipRecords, prefix: str) -> Callable[[Any], Storage]:
    known: dict[tuple[str, torch.dtype], Storage] = {}

    def resolve(identifier: Any) -> Storage:
        kind, key, count = _identifier(identifier, length=5)
        dtype = storage_dtype(kind)
        if (key, dtype) not in known:
            offset, length = zipped.place(f"{prefix}data/{key}")
            if count * dtype.itemsize > length:
                raise WeightsError(
                    f"storage '{key}' should hold {count} numbers of {dtype}, its record has "
                    f"{length} bytes: the file is damaged, fetch it again"
                )
            known[key, dtype] = view(zipped.data, dtype=dtype, count=count, offset_bytes=offset)
        return known[key, dtype]

    return resolve


def _identifier(identifier: Any, *, length: int) -> tuple[Any, str, int]:
    """Storage class, key and number count of ('storage', class, key, place, count, ...)."""
    if not is_tuple(identifier) or len(identifier) != length or identifier[0] != "storage":
        raise UnsafeFileError(
            "points to something else than the numbers of a tensor; nothing of the file was run"
        )
    _, kind, key, _, count = identifier[:5]
    if not isinstance(key, str) or len(key) > 64 or not isinstance(count, int) or count < 0:
        raise WeightsError("a tensor's place in the file is not given as key and count")
    return kind, key, count


def _read_pickles(path: Path, size: int) -> CheckpointFile:
    data = map_file(str(path), size)
    reader = _Sequence(path, data)
    first = reader.pickle(TORCH_VOCABULARY, persistent=None)
    if first != LEGACY_MAGIC:
        return CheckpointFile(
            path=path,
            entries=_entries(path, first),
            format="pickle",
            names=tuple(sorted(reader.names)),
        )
    entries = _entries(path, _read_legacy(reader))
    return CheckpointFile(
        path=path,
        entries=entries,
        format="torch before 1.6",
        names=tuple(sorted(reader.names)),
    )


class _Sequence:
    """Pickles that follow each other in a mapped file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.names: set[str] = set()

    def pickle(self, vocabulary: Vocabulary, *, persistent: Callable[[Any], Any] | None) -> Any:
        machine = PickleMachine(
            self.data,
            vocabulary,
            where=str(self.path),
            size_bytes=len(self.data),
            persistent=persistent,
        )
        value = machine.run()
        self.names |= machine.names
        return value


def _read_legacy(reader: _Sequence) -> Any:
    """Layout before PyTorch 1.6: magic, protocol, system, object, storage keys, then raw numbers.

    Where the numbers lie is known only behind the object, so its pickle is read twice: first for
    the sizes, then with the storages in place.
    """
    protocol = reader.pickle(TORCH_VOCABULARY, persistent=None)
    system = reader.pickle(TORCH_VOCABULARY, persistent=None)
    little = is_dict(system) and system.get("little_endian", True) is True
    if protocol != LEGACY_PROTOCOL or not little or sys.byteorder != "little":
        raise WeightsError(
            f"{reader.path}: expected PyTorch's protocol {LEGACY_PROTOCOL} in little-endian byte "
            f"order, found protocol {str(protocol)[:20]}"
        )
    announced: dict[str, tuple[torch.dtype, int]] = {}

    def note(identifier: Any) -> Storage:
        kind, key, count = _identifier(identifier, length=6)
        known = announced.setdefault(key, (storage_dtype(kind), count))
        if known != (storage_dtype(kind), count):
            raise WeightsError(f"storage '{key}' is announced twice with different sizes")
        if count * known[0].itemsize > len(reader.data):
            raise WeightsError(
                f"storage '{key}' should hold {count} numbers, the file has {len(reader.data)} "
                "bytes: it is cut off or damaged, fetch it again"
            )
        return Storage(torch.empty(count, dtype=known[0], device="meta"))

    start = reader.data.tell()
    reader.pickle(TORCH_VOCABULARY, persistent=note)
    keys = reader.pickle(TORCH_VOCABULARY, persistent=None)
    storages = _legacy_storages(reader, keys, announced)

    def resolve(identifier: Any) -> Storage:
        _, key, _ = _identifier(identifier, length=6)
        whole = storages[key]
        view_of = identifier[5]
        if view_of is None:
            return whole
        _, offset, count = view_of
        if not 0 <= offset <= offset + count <= whole.flat.numel():
            raise WeightsError(f"a part of storage '{key}' reaches beyond it")
        return Storage(whole.flat[offset : offset + count])

    reader.data.seek(start)
    return reader.pickle(TORCH_VOCABULARY, persistent=resolve)


def _legacy_storages(
    reader: _Sequence, keys: Any, announced: Mapping[str, tuple[torch.dtype, int]]
) -> dict[str, Storage]:
    """Views of the raw numbers: for each key a count of 8 bytes, then the numbers."""
    if not is_list(keys) or set(map(str, keys)) != set(announced):
        raise WeightsError(f"{reader.path}: its list of storages does not fit: fetch it again")
    storages: dict[str, Storage] = {}
    offset = reader.data.tell()
    for key in map(str, keys):
        dtype, count = announced[key]
        stored = reader.data[offset : offset + 8]
        if len(stored) < 8 or struct.unpack("<q", stored)[0] != count:
            raise WeightsError(
                f"{reader.path}: storage '{key}' should hold {count} numbers, the file ends or "
                "says otherwise: it is cut off or damaged, fetch it again"
            )
        try:
            storages[key] = view(reader.data, dtype=dtype, count=count, offset_bytes=offset + 8)
        except WeightsError as error:
            raise WeightsError(f"{reader.path}: {error}") from error
        offset += 8 + count * dtype.itemsize
    return storages
