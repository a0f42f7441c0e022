"""One fetcher at a time per file, across threads and processes."""

import importlib
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earsight.errors import FetchError

POLL_SECONDS = 0.1


@contextmanager
def held(path: Path, *, wait_seconds: float) -> Generator[None]:
    """Hold the lock file `path`; it is freed when the process ends, however it ends.

    Raises FetchError when somebody else holds it for longer than `wait_seconds`.
    """
    give_up = time.monotonic() + wait_seconds
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if _try_lock(handle) and _is_still(path, handle):
            break
        os.close(handle)
        if time.monotonic() > give_up:
            raise FetchError(
                f"{path.with_suffix('')}: another process has been fetching it for "
                f"{wait_seconds:.0f} s: wait for it or end it, then run this again"
            )
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _try_lock(handle: int) -> bool:
    """Lock an open file if nobody else has; different calls exclude each other everywhere."""
    try:
        if os.name == "nt":
            system: Any = importlib.import_module("msvcrt")
            system.locking(handle, system.LK_NBLCK, 1)
        else:
            system = importlib.import_module("fcntl")
            system.flock(handle, system.LOCK_EX | system.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(path: Path, handle: int) -> bool:
    """Whether the locked file is the one under the name, not one that was just removed."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
