"""Weight files out of archives (tar, tar.gz, tar.bz2, tar.xz, zip), read member by member.

Nothing is unpacked but the one weight file, to a place the caller names. Every member is looked at;
an archive with a member that no weight archive has (absolute or climbing path, link, device) is
refused as a whole. Sizes are bounded before and while reading.
"""

import bz2
import fnmatch
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast, runtime_checkable

from earsight.errors import InputError, UnsafeFileError, WeightsError
from earsight.files import staged

CHUNK_BYTES = 2**20
HEADER_BYTES = 2**20  # longest piece read at once; tar headers are a few hundred bytes
MAX_MEMBERS = 10_000
MAX_RATIO = 50  # unpacked to packed; published archives stay below 3
SLACK_BYTES = 2**24  # small archives may be sparser than that
DEFAULT_PATTERN = "*.ckpt"
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


@runtime_checkable
class Readable(Protocol):
    """What contents are read from."""

    def read(self, n: int, /) -> bytes:
        """Up to `n` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive: its path there and its size."""

    name: str
    size_bytes: int


def is_archive(path: Path) -> bool:
    """Whether a file is a tar or zip archive that holds weight files, rather than being one."""
    try:
        with path.open("rb") as file:
            head = file.read(265)
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got {error}") from error
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")) or head[257:262] == b"ustar":
        return True
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
    except _BROKEN:
        return False
    return not any(name.count("/") == 1 and name.endswith("/data.pkl") for name in names)


def take_weights(
    archive: Path, destination: Path, *, pattern: str = DEFAULT_PATTERN, overwrite: bool = False
) -> Member:
    """Write the weight file of an archive to `destination`; returns which member it was.

    Of several files that match, one under `checkpoints/` is preferred, then `last.ckpt`, then the
    last by name. Raises UnsafeFileError for an archive with dangerous members or of implausible
    size, WeightsError for a damaged one or one without a match.
    """
    taken: Member | None = None
    with staged(destination, overwrite=overwrite) as temporary:
        for member, content in _members(archive):
            if fnmatch.fnmatch(member.name, pattern) and (
                taken is None or _rank(member.name) > _rank(taken.name)
            ):
                _write(archive, member, content, temporary)
                taken = member
        if taken is None:
            raise WeightsError(f"{archive}: expected a file '{pattern}' inside, found none")
    return taken


def list_members(archive: Path) -> list[Member]:
    """All files of an archive, each checked as `take_weights` does."""
    return [member for member, _ in _members(archive)]


def _rank(name: str) -> tuple[bool, bool, str]:
    path = PurePosixPath(name)
    return path.parent.name == "checkpoints", path.name == "last.ckpt", name


def _write(archive: Path, member: Member, content: Readable, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if member.size_bytes > free:
        raise WeightsError(
            f"{archive}: {member.name} needs {member.size_bytes} bytes, {free} are free on the "
            "disk of the output: make room"
        )
    done = 0
    with target.open("wb") as file:
        while block := _chunk(archive, content):
            done += len(block)
            if done > member.size_bytes:
                raise UnsafeFileError(f"{archive}: {member.name} is longer than it says")
            try:
                file.write(block)
            except OSError as error:
                raise WeightsError(
                    f"{archive}: {member.name} cannot be written ({error}): make room"
                ) from error
    if done != member.size_bytes:
        raise WeightsError(f"{archive}: {member.name} is cut off: fetch the archive again")


def _chunk(archive: Path, content: Readable) -> bytes:
    with _named_errors(archive):
        return content.read(CHUNK_BYTES)


def _members(archive: Path) -> Iterator[tuple[Member, Readable]]:
    """Every file of an archive with its content, checked; what is wrong gets the archive's name."""
    seen: set[str] = set()
    total = 0
    with _named_errors(archive):
        limit = MAX_RATIO * archive.stat().st_size + SLACK_BYTES
        # by its first bytes: a tar that ends with a zip file inside looks like a zip from behind
        with archive.open("rb") as file:
            reader = _zip_members if file.read(4) == b"PK\x03\x04" else _tar_members
        for member, content in reader(archive, limit):
            total += member.size_bytes
            if len(seen) >= MAX_MEMBERS:
                raise UnsafeFileError(f"{archive}: holds more than {MAX_MEMBERS} files")
            if member.name in seen:
                raise UnsafeFileError(f"{archive}: holds '{member.name[:200]}' twice")
            if total > limit:
                raise UnsafeFileError(
                    f"{archive}: would unpack to more than {limit} bytes, {MAX_RATIO} times its "
                    "size: not a weight archive"
                )
            seen.add(member.name)
            yield member, content


@contextmanager
def _named_errors(archive: Path) -> Generator[None]:
    try:
        yield
    except (WeightsError, InputError):
        raise
    except _BROKEN as error:
        raise WeightsError(
            f"{archive}: expected a tar or zip archive, it cannot be read "
            f"({type(error).__name__}: {str(error)[:200]}): fetch it again"
        ) from error


def _refuse_name(archive: Path, name: str) -> None:
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise UnsafeFileError(f"{archive}: member '{name[:200]}' points outside the archive")
    if not name or any(ord(letter) < 32 for letter in name):
        raise UnsafeFileError(f"{archive}: a member has an unreadable name")


def _tar_members(archive: Path, limit: int) -> Iterator[tuple[Member, Readable]]:
    with archive.open("rb") as packed:
        stream = _Forward(_decompressed(packed), archive=archive, limit=limit)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as opened:
            while (info := opened.next()) is not None:
                _refuse_name(archive, info.name)
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    raise UnsafeFileError(
                        f"{archive}: member '{info.name[:200]}' is a link, device or special file; "
                        "weight archives hold plain files"
                    )
                content = opened.extractfile(info)
                if content is not None:
                    yield Member(info.name, info.size), content
        while stream.read(CHUNK_BYTES):
            """The rest is read for its checksum, which tells a cut archive from a whole one."""


def _decompressed(packed: BufferedReader) -> Readable:
    head = packed.peek(6)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    if head.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(packed)
    return packed


class _Forward:
    """A stream for `tarfile` that moves forwards (and one header back), in bounded pieces."""

    def __init__(self, source: Readable, *, archive: Path, limit: int) -> None:
        self._source = source
        self._archive = archive
        self._limit = limit
        self._position = 0  # of the next byte given out
        self._recent = b""  # the last bytes taken from the source
        self._ahead = 0  # how many of them are to be given out again

    def tell(self) -> int:
        """Position of the next byte."""
        return self._position

    def seek(self, target: int, whence: int = 0) -> int:
        """Move to `target` bytes from the start."""
        back = self._position - target
        if whence or 0 < back > len(self._recent) - self._ahead:
            raise WeightsError(f"{self._archive}: its members overlap: fetch it again")
        if back > 0:
            self._ahead += back
            self._position = target
        while self._position < target and self.read(min(CHUNK_BYTES, target - self._position)):
            """Skip."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end."""
        if not 0 <= size <= max(CHUNK_BYTES, HEADER_BYTES):
            raise UnsafeFileError(f"{self._archive}: a header of {size} bytes is announced")
        again = self._recent[len(self._recent) - self._ahead :][:size] if self._ahead else b""
        self._ahead -= len(again)
        fresh = self._source.read(size - len(again)) if len(again) < size else b""
        self._position += len(again) + len(fresh)
        if self._position > self._limit + SLACK_BYTES:
            raise UnsafeFileError(
                f"{self._archive}: unpacks to more than {self._limit} bytes, {MAX_RATIO} times its "
                "size: not a weight archive"
            )
        if fresh:
            self._recent = (self._recent + fresh)[-tarfile.BLOCKSIZE :]
        return again + fresh


def _zip_members(archive: Path, limit: int) -> Iterator[tuple[Member, Readable]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            _refuse_name(archive, info.filename)
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeFileError(
                    f"{archive}: member '{info.filename[:200]}' is a link or special file"
                )
            if info.is_dir():
                continue
            if info.flag_bits & 0x1 or info.file_size > limit:
                raise UnsafeFileError(
                    f"{archive}: member '{info.filename[:200]}' is encrypted or of an implausible "
                    f"size ({info.file_size} bytes)"
                )
            with opened.open(info) as content:
                yield Member(info.filename, info.file_size), content
