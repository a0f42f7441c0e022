"""Downloads against a misbehaving server on loopback."""

import errno
import hashlib
import http.server
import os
import shutil
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earsight.checkpoints import fetch as fetching
from earsight.checkpoints import fetch_lock
from earsight.checkpoints.fetch import cache_dir, fetch
from earsight.errors import FetchError

CONTENT = bytes(range(256)) * 12_000  # 3 MB, three blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT under any path; the attributes choose how it misbehaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.tag: str | None = '"one"'
        self.ranges = True
        self.cuts: list[int] = []  # bytes after which one response each breaks off
        self.statuses: list[int] = []  # answers given instead of the file
        self.redirect: str | None = None
        self.announce = True
        self.requests: list[dict[str, str]] = []

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # the parent's looks its own name up
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.tar.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers.items()))
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = self._start()
        if start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            end = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{end + 1}")
        if server.announce:
            self.send_header("Content-Length", str(len(body)))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        self.wfile.write(body)

    def _start(self) -> int:
        wanted, same = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not self.server.ranges or (same and same != self.server.tag):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "weights.tar.gz"


def only_file(target: Path) -> bool:
    return [path.name for path in target.parent.iterdir()] == [target.name]


def test_downloads_whole_and_reports_progress(server: Server, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(
        server.url,
        destination=target,
        sha256=SHA256,
        md5=MD5,
        sha256_prefix=SHA256[:8],
        size_bytes=len(CONTENT),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert only_file(target)
    fetch(server.url, destination=target, sha256=SHA256)
    assert len(server.requests) == 1, "what is there already is not fetched again"


def test_goes_on_after_cut_connections(server: Server, target: Path) -> None:
    server.cuts = [1_000_000, 500_000, 1]
    fetch(server.url, destination=target, sha256=SHA256, pause_seconds=0.0)
    assert target.read_bytes() == CONTENT
    assert [sent.get("Range") for sent in server.requests] == [
        None,
        "bytes=1000000-",
        "bytes=1500000-",
        "bytes=1500001-",
    ]
    assert server.requests[1]["If-Range"] == '"one"'


def test_a_later_call_goes_on(server: Server, target: Path) -> None:
    server.cuts = [700_000, 0, 0, 0]
    with pytest.raises(FetchError, match=r"700000 bytes came.*run this again"):
        fetch(server.url, destination=target, sha256=SHA256, attempts=3, pause_seconds=0.0)
    assert not target.exists()
    server.cuts = []
    fetch(server.url, destination=target, sha256=SHA256)
    assert server.requests[-1]["Range"] == "bytes=700000-"
    assert only_file(target)


@pytest.mark.parametrize("change", ["other version", "no ranges", "nothing to pin it down"])
def test_starts_over_when_the_rest_would_not_fit(server: Server, target: Path, change: str) -> None:
    server.cuts = [700_000]
    server.tag = None if change.startswith("nothing") else '"one"'
    with pytest.raises(FetchError):
        fetch(server.url, destination=target, attempts=1)
    if change == "other version":
        server.tag, server.content = '"two"', CONTENT[::-1]
    server.ranges = change != "no ranges"
    fetch(server.url, destination=target)
    assert target.read_bytes() == server.content


def test_a_hash_alone_pins_a_part_down(server: Server, target: Path) -> None:
    server.cuts, server.tag = [700_000], None
    with pytest.raises(FetchError):
        fetch(server.url, destination=target, md5=MD5, attempts=1)
    fetch(server.url, destination=target, md5=MD5)
    assert server.requests[-1]["Range"] == "bytes=700000-"


def test_an_overlong_part_is_dropped(server: Server, target: Path) -> None:
    server.cuts = [700_000]
    with pytest.raises(FetchError):
        fetch(server.url, destination=target, sha256=SHA256, attempts=1)
    with target.with_name(target.name + ".part").open("ab") as part:
        part.write(CONTENT)
    fetch(server.url, destination=target, sha256=SHA256, pause_seconds=0.0)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "wrong"), [("sha256", "0" * 64), ("md5", "0" * 32), ("sha256_prefix", "0676ba61")]
)
def test_wrong_content_is_removed(server: Server, target: Path, kind: str, wrong: str) -> None:
    with pytest.raises(FetchError, match=f"expected {kind[:6].rstrip('_')}.* {wrong}.*, found"):
        fetch(server.url, destination=target, **{kind: wrong})
    assert list(target.parent.iterdir()) == []


def test_a_changed_file_in_the_cache_is_named_and_kept(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"something else")
    with pytest.raises(FetchError, match=f"expected sha256 {SHA256}, found .* remove it"):
        fetch(server.url, destination=target, sha256=SHA256)
    assert target.read_bytes() == b"something else"


def test_size_is_checked_before_and_while_receiving(server: Server, target: Path) -> None:
    with pytest.raises(FetchError, match=f"expected 10 bytes, the server offers {len(CONTENT)}"):
        fetch(server.url, destination=target, size_bytes=10)
    server.announce = False
    server.content = CONTENT * 4
    seen: list[int] = []
    with pytest.raises(FetchError, match="more than the 1500000 bytes expected arrive"):
        fetch(
            server.url,
            destination=target,
            size_bytes=1_500_000,
            progress=lambda done, _: seen.append(done),
        )
    assert seen == [2**20], "nothing beyond the bound is kept"
    assert list(target.parent.iterdir()) == []


def test_too_little_room_is_said_before_the_download(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 1000))
    with pytest.raises(FetchError, match=f"{len(CONTENT)} bytes are still to come, 1000 are free"):
        fetch(server.url, destination=target)


def test_a_disk_that_fills_up_keeps_the_part(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(file: Any, block: bytes) -> None:
        if file.tell() + len(block) > 2**20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.write(block)

    with monkeypatch.context() as full:
        full.setattr(fetching, "_write", write)
        with pytest.raises(FetchError, match="disk is full after 1048576 bytes"):
            fetch(server.url, destination=target, sha256=SHA256)
    assert len(server.requests) == 1, "a full disk is no reason to ask the server again"
    fetch(server.url, destination=target, sha256=SHA256)
    assert server.requests[-1]["Range"] == "bytes=1048576-"
    assert target.read_bytes() == CONTENT


def test_two_fetchers_download_once(server: Server, target: Path) -> None:
    failures: list[BaseException] = []

    def one() -> None:
        try:
            fetch(server.url, destination=target, sha256=SHA256)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(server.requests) == 1
    assert only_file(target)


def test_waiting_for_another_fetcher_ends(server: Server, target: Path) -> None:
    target.parent.mkdir()
    with (
        fetching.held(target.with_name(target.name + ".lock"), wait_seconds=0.0),
        pytest.raises(FetchError, match=r"weights\.tar\.gz: another process has been fetching"),
    ):
        fetch(server.url, destination=target, lock_seconds=0.0)


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, real, calls = tmp_path / "x.lock", fetch_lock._try_lock, []

    def try_lock(handle: int) -> bool:
        calls.append(handle)
        if len(calls) == 1:
            lock.unlink()  # by the fetcher that held it and is done
        return real(handle)

    monkeypatch.setattr(fetch_lock, "_try_lock", try_lock)
    with fetch_lock.held(lock, wait_seconds=5.0):
        assert lock.exists()
    assert len(calls) == 2
    assert not lock.exists()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "/etc/passwd", "http:///x", "data:,x"]
)
def test_only_web_addresses(url: str, target: Path) -> None:
    with pytest.raises(FetchError, match="expected an http or https address"):
        fetch(url, destination=target)


@pytest.mark.parametrize("away", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_stay_on_the_web(server: Server, target: Path, away: str) -> None:
    server.redirect = away
    with pytest.raises(FetchError):
        fetch(server.url, destination=target, pause_seconds=0.0)
    assert len(server.requests) == 1
    assert not target.exists()


def test_a_refusal_is_final_and_an_overload_is_not(server: Server, target: Path) -> None:
    server.statuses = [503, 429]
    fetch(server.url, destination=target, sha256=SHA256, pause_seconds=0.0)
    server.statuses = [404]
    with pytest.raises(FetchError, match="404"):
        fetch(server.url, destination=target.with_name("other"), pause_seconds=0.0)
    assert len(server.requests) == 4


def test_a_place_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match="cannot be written"):
        fetch(server.url, destination=tmp_path / "file" / "weights")


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("EARSIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "earsight"
