"""What lies in a tar shard: members of known kinds, and what is wrong with them.

Only headers and the first bytes of members are looked at; nothing is unpickled or unpacked.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from earsight.errors import InputError

LARGEST_MEMBER = 2**30
WAVES = {".flac": b"fLaC", ".wav": b"RIFF"}
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's bytes lie."""

    shard: Path
    name: str
    offset: int
    size: int

    def read(self, count: int | None = None) -> bytes:
        """The member's bytes, or the first `count` of them."""
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size if count is None else min(count, self.size))


def read_members(shard: Path) -> Iterator[tuple[Member, str]]:
    """Members of the known kinds, each with what is wrong with it, or ""."""
    end = shard.stat().st_size
    with tarfile.open(shard, "r:") as tar:
        for header in tar:
            member = Member(shard, header.name, header.offset_data, header.size)
            if not header.isreg() or not _known(header.name.partition(".")[2]):
                continue
            if header.offset_data + header.size > end:
                yield member, "is cut short"
            elif header.size > LARGEST_MEMBER:
                yield member, f"is larger than {LARGEST_MEMBER} bytes"
            else:
                yield member, _damage(member)


def _known(kind: str) -> bool:
    stem, _, suffix = kind.rpartition(".")
    if kind == "json" or kind == "mel.npy":
        return True
    if stem == "wave":
        return f".{suffix}" in WAVES
    return suffix == "npy" and stem.startswith(("features-", "codes-"))


def _damage(member: Member) -> str:
    """What the beginning of a member tells of damage, "" for nothing."""
    for suffix, magic in WAVES.items():
        if member.name.endswith(f"wave{suffix}"):
            return "" if member.read(4) == magic else "is no sound"
    if not member.name.endswith(".npy"):
        return ""
    head = io.BytesIO(member.read(_HEAD_BYTES))
    try:
        version = np.lib.format.read_magic(head)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version)
        if read is None:
            return f"has version {version} of its format"
        shape, _, dtype = read(head)
    except ValueError as error:
        return f"is no array ({error})"
    whole = int(np.prod(shape)) * dtype.itemsize + head.tell()
    return "" if whole == member.size and not dtype.hasobject else "is no whole array of numbers"


def member_array(member: Member) -> NDArray[Any]:
    """A member's array. Raises InputError where it is damaged."""
    try:
        return cast(NDArray[Any], np.load(io.BytesIO(member.read()), allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{member.shard}, {member.name}: damaged ({error})") from error
