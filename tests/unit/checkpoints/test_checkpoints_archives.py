"""Archives of weights, and archives that try to get out, in or big."""

import bz2
import gzip
import io
import lzma
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from earsight.checkpoints import archives
from earsight.checkpoints.archives import is_archive, list_members, take_weights
from earsight.errors import InputError, UnsafeFileError, WeightsError

WEIGHTS = random.Random(1).randbytes(300_000)
RUN = "2021-05-19T22-16-54_vggsound_codebook"
PLAIN = {
    f"{RUN}/configs/2021-05-19T22-16-54-project.yaml": b"ckpt_path: /home/someone/last.ckpt",
    f"{RUN}/checkpoints/epoch_39.ckpt": WEIGHTS,
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar": bytes,
}


def tar(members: dict[str, bytes] | list[tarfile.TarInfo], **options: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:  # type: ignore[call-overload]
        if isinstance(members, list):
            for info in members:
                archive.addfile(info, io.BytesIO(b"x" * info.size))
        else:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "in" / "archive"


@pytest.fixture
def target(tmp_path: Path, archive: Path) -> Path:
    archive.parent.mkdir()
    return tmp_path / "out" / "weights.ckpt"


@pytest.mark.parametrize("kind", [*PACKERS, "zip"])
def test_the_checkpoint_is_taken_out_of_every_kind(archive: Path, target: Path, kind: str) -> None:
    archive.write_bytes(zipped(PLAIN) if kind == "zip" else PACKERS[kind](tar(PLAIN)))
    assert is_archive(archive)
    member = take_weights(archive, target)
    assert member.name == f"{RUN}/checkpoints/epoch_39.ckpt"
    assert target.read_bytes() == WEIGHTS
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert [found.name for found in list_members(archive)] == list(PLAIN)


@pytest.mark.parametrize("order", [1, -1])
def test_the_official_choice_among_several_checkpoints(
    archive: Path, target: Path, order: int
) -> None:
    names = ["r/checkpoints/epoch_39.ckpt", "r/checkpoints/last.ckpt", "r/z/zz.ckpt", "a.ckpt"]
    archive.write_bytes(tar({name: name.encode() for name in names[::order]}))
    assert take_weights(archive, target).name == "r/checkpoints/last.ckpt"
    names[1] = "r/checkpoints/epoch=000012.ckpt"
    archive.write_bytes(tar({name: name.encode() for name in names[::order]}))
    taken = take_weights(archive, target, overwrite=True)
    assert taken.name == "r/checkpoints/epoch_39.ckpt"
    assert target.read_bytes() == taken.name.encode()


def test_a_tar_that_ends_with_a_zip_inside_is_a_tar(archive: Path, target: Path) -> None:
    inner = zipped({"archive/data.pkl": b"x"}, method=zipfile.ZIP_STORED)
    archive.write_bytes(tar({"r/checkpoints/last.ckpt": inner}, bufsize=512))
    assert take_weights(archive, target).size_bytes == len(inner)


def test_weight_files_are_no_archives(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "new.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert not is_archive(tmp_path / "new.pt")
    assert not is_archive(tmp_path / "old.pt")
    with pytest.raises(InputError, match="readable file"):
        is_archive(tmp_path / "none")


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


EVIL_TARS = {
    "absolute": [tarfile.TarInfo("/etc/cron.d/x.ckpt")],
    "climbing": [tarfile.TarInfo("r/../../x.ckpt")],
    "climbing start": [tarfile.TarInfo("../x.ckpt")],
    "backslashes": [tarfile.TarInfo("r\\..\\..\\x.ckpt")],
    "drive": [tarfile.TarInfo("C:\\x.ckpt")],
    "line end in the name": [tarfile.TarInfo("r/x\n.ckpt")],
    "symbolic link": [special("r/checkpoints/last.ckpt", tarfile.SYMTYPE, "/etc/passwd")],
    "hard link": [special("r/checkpoints/last.ckpt", tarfile.LNKTYPE, "/etc/passwd")],
    "linked folder": [
        special("r/checkpoints", tarfile.SYMTYPE, "/tmp"),
        tarfile.TarInfo("r/checkpoints/last.ckpt"),
    ],
    "device": [special("r/checkpoints/last.ckpt", tarfile.CHRTYPE)],
    "block device": [special("r/sda.ckpt", tarfile.BLKTYPE)],
    "pipe": [special("r/checkpoints/last.ckpt", tarfile.FIFOTYPE)],
    "unknown kind": [special("r/checkpoints/last.ckpt", b"Z")],
    "twice": [tarfile.TarInfo("r/x.ckpt"), tarfile.TarInfo("r/x.ckpt")],
}


@pytest.mark.parametrize("kind", EVIL_TARS)
@pytest.mark.parametrize("packed", ["tar.gz", "tar"])
@pytest.mark.parametrize("after", [False, True], ids=["first", "after good weights"])
def test_evil_members_refuse_the_whole_archive(
    archive: Path, target: Path, kind: str, packed: str, after: bool
) -> None:
    good = tarfile.TarInfo("good/checkpoints/good.ckpt")
    good.size = 2000
    members = [good, *EVIL_TARS[kind]] if after else [*EVIL_TARS[kind], good]
    archive.write_bytes(PACKERS[packed](tar(members)))
    with pytest.raises(UnsafeFileError, match=str(archive)):
        take_weights(archive, target)
    assert list(target.parent.iterdir()) == [], "nothing stays behind"
    outside = {archive.parent, target.parent}
    assert set(archive.parents[1].iterdir()) == outside


def test_evil_zip_members_are_refused(archive: Path, target: Path) -> None:
    link = zipfile.ZipInfo("r/checkpoints/last.ckpt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for name in ("/etc/x.ckpt", "../x.ckpt", "r\\..\\x.ckpt", link):
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr(name, "/etc/passwd")
        with pytest.raises(UnsafeFileError, match=r"outside the archive|link or special"):
            take_weights(archive, target)


def test_swollen_archives_are_refused_before_they_are_unpacked(
    archive: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SLACK_BYTES", 2**16)
    zeros = b"\0" * 2**23
    inside = {"r/checkpoints/last.ckpt": zeros}
    for content in (gzip.compress(tar(inside)), lzma.compress(tar(inside)), zipped(inside)):
        archive.write_bytes(content)
        with pytest.raises(UnsafeFileError, match=r"times its size|implausible"):
            take_weights(archive, target)
    tail = gzip.compress(tar({"r/last.ckpt": b"x"}) + zeros)
    archive.write_bytes(tail)
    with pytest.raises(UnsafeFileError, match="times its size"):
        take_weights(archive, target)


def test_announced_sizes_are_not_believed(archive: Path, target: Path) -> None:
    info = tarfile.TarInfo("r/checkpoints/last.ckpt")
    info.size = 2**50
    archive.write_bytes(gzip.compress(info.tobuf() + b"x" * 512))
    with pytest.raises(UnsafeFileError, match="times its"):
        take_weights(archive, target)


def test_huge_headers_are_not_read(archive: Path, target: Path) -> None:
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
        header = tarfile.TarInfo("././@LongLink")
        header.type, header.size = kind, 2**31
        archive.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + b"x" * 4096))
        with pytest.raises(UnsafeFileError, match=r"header of .* bytes"):
            take_weights(archive, target)


def test_too_many_members_are_refused(
    archive: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 20)
    many = {f"r/{i}": b"" for i in range(21)}
    for content in (tar(many), zipped(many)):
        archive.write_bytes(content)
        with pytest.raises(UnsafeFileError, match="more than 20 files"):
            take_weights(archive, target)


@pytest.mark.parametrize("kind", [*PACKERS, "zip"])
def test_cut_and_damaged_archives_are_named_errors(archive: Path, target: Path, kind: str) -> None:
    whole = zipped(PLAIN) if kind == "zip" else PACKERS[kind](tar(PLAIN))
    for length in (300, 1500, len(whole) // 2, len(whole) - 30 * 1024 * (kind == "tar") - 5):
        archive.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=str(archive)):
            take_weights(archive, target, overwrite=True)
    if kind != "tar":  # a tar has no checksum of its contents
        middle = len(whole) // 2
        archive.write_bytes(whole[:middle] + b"damaged" + whole[middle + 7 :])
        with pytest.raises(WeightsError, match=str(archive)):
            take_weights(archive, target, overwrite=True)
    assert not target.exists()


def test_archives_without_a_checkpoint_say_so(archive: Path, target: Path) -> None:
    archive.write_bytes(gzip.compress(tar({"readme.txt": b"x"})))
    with pytest.raises(WeightsError, match=r"expected a file '\*\.ckpt' inside, found none"):
        take_weights(archive, target)
