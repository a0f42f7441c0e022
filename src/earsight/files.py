"""Files that appear under their final name only when whole, and their hashes."""

import hashlib
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from earsight.errors import InputError


@contextmanager
def staged(path: Path, *, overwrite: bool = False) -> Generator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix, since writers choose a format by it. On any exception,
    KeyboardInterrupt included, the temporary file is removed and `path` is left as it was.
    Raises InputError when `path` exists and `overwrite` is off.
    """
    refuse_existing(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; published files follow the user's umask
        temporary.chmod(0o666 & ~_umask())
        if overwrite:
            temporary.replace(path)
        else:
            try:
                os.link(temporary, path)
            except FileExistsError:
                refuse_existing(path, overwrite=False)
            except OSError:  # file systems without hard links
                refuse_existing(path, overwrite=False)
                temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise InputError when `path` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} exists already: choose another name or allow overwriting (--overwrite)"
        )


def write_json(path: Path, value: object, *, overwrite: bool = False) -> None:
    """Write `value` as readable JSON, whole or not at all."""
    with staged(path, overwrite=overwrite) as temporary:
        temporary.write_text(
            json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
