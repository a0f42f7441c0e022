"""Downloads that resume, end in the right bytes or in a named error, and never run twice at once.

A download grows in `NAME.part`; beside it `NAME.part.json` says which version of the remote file it
belongs to. The final name appears only when size and hash are right.
"""

import errno
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from earsight.checkpoints.fetch_lock import held
from earsight.errors import FetchError
from earsight.files import file_digest

BLOCK_BYTES = 2**20
MAX_BYTES = 2**36  # no published file comes near; bounds servers that never stop
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the finished file must be; None where it is not known."""

    sha256: str | None = None
    md5: str | None = None
    sha256_prefix: str | None = None
    size_bytes: int | None = None

    @property
    def has_hash(self) -> bool:
        """Whether the content can be checked at all."""
        return any((self.sha256, self.md5, self.sha256_prefix))


def cache_dir() -> Path:
    """Folder for downloads: EARSIGHT_CACHE, else `~/.cache/earsight` (XDG_CACHE_HOME obeyed)."""
    own = os.environ.get("EARSIGHT_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earsight"


def fetch(
    url: str,
    *,
    destination: Path,
    sha256: str | None = None,
    md5: str | None = None,
    sha256_prefix: str | None = None,
    size_bytes: int | None = None,
    progress: Progress | None = None,
    attempts: int = 5,
    timeout_seconds: float = 30.0,
    pause_seconds: float = 1.0,
    lock_seconds: float = 6 * 3600.0,
) -> Path:
    """Download `url` to `destination`, resuming what an earlier call left, and check it.

    A destination that has the right hash already is returned as it is. `progress` gets the bytes
    so far and in all. `attempts` counts tries in a row that bring nothing new, with doubling
    pauses. Raises FetchError: wrong address, refused by the server, cut off too often, disk full
    (what came is kept), wrong size or hash (what came is removed).
    """
    _refuse_scheme(url)
    expected = Expected(sha256=sha256, md5=md5, sha256_prefix=sha256_prefix, size_bytes=size_bytes)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        lock = destination.with_name(destination.name + ".lock")
        with held(lock, wait_seconds=lock_seconds):
            if destination.exists():
                check(destination, expected)
                return destination
            part = _Part(url, destination, expected)
            _fill(part, progress, attempts, timeout_seconds, pause_seconds)
            part.finish()
    except FetchError:
        raise
    except OSError as error:
        raise FetchError(f"{destination}: cannot be written ({error})") from error
    return destination


def check(path: Path, expected: Expected) -> None:
    """Compare a file with what it must be; raises FetchError naming both."""
    problems: list[str] = []
    size = path.stat().st_size
    if expected.size_bytes is not None and size != expected.size_bytes:
        problems.append(f"expected {expected.size_bytes} bytes, found {size}")
    for algorithm, wanted in (("md5", expected.md5), ("sha256", expected.sha256)):
        if wanted is not None and (found := file_digest(path, algorithm)) != wanted:
            problems.append(f"expected {algorithm} {wanted}, found {found}")
    start = expected.sha256_prefix
    if start is not None and not (found := file_digest(path, "sha256")).startswith(start):
        problems.append(f"expected sha256 {start}..., found {found}")
    if problems:
        raise FetchError(
            f"{path}: {'; '.join(problems)}: not the published file, remove it and fetch it again"
        )


def _refuse_scheme(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError(f"expected an http or https address, got '{url[:200]}'")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and never from https down to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _refuse_scheme(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise FetchError(f"{req.full_url} leads to an unprotected address, {newurl[:200]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Part:
    """The unfinished file and the note beside it."""

    def __init__(self, url: str, destination: Path, expected: Expected) -> None:
        self.url = url
        self.destination = destination
        self.expected = expected
        self.path = destination.with_name(destination.name + ".part")
        self.note = destination.with_name(destination.name + ".part.json")

    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remove(self) -> None:
        """Forget what came so far."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def known(self) -> Mapping[str, Any]:
        """The note of the earlier call; empty where it is of another address or unreadable."""
        try:
            value: Any = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return {}
        return cast(dict[str, Any], value) if value and value.get("url") == self.url else {}

    def remember(self, headers: Message, total: int | None) -> None:
        """Note which version of the remote file this is."""
        tag = headers.get("ETag")
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        self.note.write_text(json.dumps({"url": self.url, "version": version, "total": total}))

    def request(self) -> urllib.request.Request:
        """Request for what is missing; starts over where the version cannot be pinned down."""
        request = urllib.request.Request(
            self.url, headers={"User-Agent": "earsight", "Accept-Encoding": "identity"}
        )
        known = self.known()
        version = known.get("version")
        if self.size() and not (known and (version or self.expected.has_hash)):
            self.remove()
        if self.size():
            request.add_header("Range", f"bytes={self.size()}-")
            if version:
                request.add_header("If-Range", str(version))
        return request

    def finish(self) -> None:
        """Check the whole and give it its name; a wrong one is removed."""
        try:
            check(self.path, self.expected)
        except FetchError as error:
            self.remove()
            raise FetchError(f"{self.url}: {error}") from error
        os.replace(self.path, self.destination)
        self.note.unlink(missing_ok=True)


def _fill(
    part: _Part,
    progress: Progress | None,
    attempts: int,
    timeout_seconds: float,
    pause_seconds: float,
) -> None:
    """Request until the part is whole; gives up after `attempts` tries that bring nothing."""
    opener = urllib.request.build_opener(_Redirects)
    failures = 0
    while True:
        before = part.size()
        try:
            with opener.open(part.request(), timeout=timeout_seconds) as response:
                _receive(part, cast(http.client.HTTPResponse, response), progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and before:
                part.remove()  # longer than the remote file: start over
            elif error.code not in RETRIED_STATUS:
                raise FetchError(
                    f"{part.url}: the server answers {error.code} {error.reason}"
                ) from error
            problem: Exception = error
        except FetchError:
            raise
        except (OSError, http.client.HTTPException) as error:
            _refuse_full_disk(part, error)
            problem = error
        failures = 1 if part.size() > before else failures + 1
        if failures >= attempts:
            raise FetchError(
                f"{part.url}: {part.size()} bytes came, then {attempts} tries in a row brought "
                f"nothing ({problem}); what came is kept, run this again to go on"
            ) from problem
        time.sleep(min(pause_seconds * 2 ** (failures - 1), 60))


def _refuse_full_disk(part: _Part, error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise FetchError(
            f"{part.path}: the disk is full after {part.size()} bytes; what came is kept, make "
            "room and run this again"
        ) from error
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EISDIR):
        raise FetchError(f"{part.path}: cannot be written ({error})") from error


def _receive(part: _Part, response: http.client.HTTPResponse, progress: Progress | None) -> None:
    """Append one response to the part.

    Raises ConnectionError when it ends early, FetchError where going on is pointless.
    """
    start, total = _placed(part, response)
    _refuse_size(part, total, start)
    part.remember(response.headers, total)
    done = start
    limit = total if total is not None else part.expected.size_bytes or MAX_BYTES
    with part.path.open("r+b" if start else "wb") as file:
        file.seek(start)
        while block := response.read(BLOCK_BYTES):
            done += len(block)
            if done > limit:
                break
            _write(file, block)
            if progress is not None:
                progress(done, total)
    if done > limit:
        part.remove()
        raise FetchError(f"{part.url}: more than the {limit} bytes expected arrive; removed")
    if total is not None and done < total:
        raise ConnectionError(f"cut off after {done} of {total} bytes")


def _write(file: IO[bytes], block: bytes) -> None:
    file.write(block)
    file.flush()  # what a full disk refuses must show here, and what came must survive a kill


def _placed(part: _Part, response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where the response starts in the file, and the file's size where the server says it."""
    length = response.headers.get("Content-Length")
    if response.status == 206:
        placed = response.headers.get("Content-Range", "")
        unit, _, rest = placed.partition(" ")
        span, _, whole = rest.partition("/")
        if unit == "bytes" and span.partition("-")[0] == str(part.size()):
            return part.size(), int(whole) if whole.isdigit() else None
        part.remove()
        raise ConnectionError(f"the server sends '{placed}', not the missing piece")
    return 0, int(length) if length and length.isdigit() else None


def _refuse_size(part: _Part, total: int | None, start: int) -> None:
    wanted = part.expected.size_bytes
    if total is not None and wanted is not None and total != wanted:
        raise FetchError(f"{part.url}: expected {wanted} bytes, the server offers {total}")
    missing = (total if total is not None else wanted or 0) - start
    free = shutil.disk_usage(part.path.parent).free
    if missing > MAX_BYTES:
        raise FetchError(f"{part.url}: {missing} bytes are more than any published file has")
    if missing > free:
        raise FetchError(
            f"{part.path}: {missing} bytes are still to come, {free} are free on this disk: make "
            "room or set EARSIGHT_CACHE to another disk"
        )
