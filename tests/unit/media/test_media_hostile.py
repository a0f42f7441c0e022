"""Hostile and broken files: each a named error, soon, and nothing else is opened."""

import contextlib
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_clips import PROVENANCE, make_video, tone

from earsight.errors import MediaError
from earsight.media.audio import read_audio, read_audio_ffmpeg16
from earsight.media.mux import replace_soundtrack
from earsight.media.video import EveryFrame, probe, stream_frames

Builder = Callable[[Path], Path | str]


def watch(path: Path | str) -> None:
    for _ in stream_frames(path, rule=EveryFrame(), size=(16, 16)):
        pass


def whole_mp4(folder: Path) -> bytes:
    """A clip with sound whose index comes first."""
    clip = make_video(folder / "whole.mp4", times=range(90))
    replace_soundtrack(clip, [tone(3.0)], folder / "front.mp4", provenance=PROVENANCE)
    return (folder / "front.mp4").read_bytes()


def put(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def half(folder: Path) -> Path:
    content = whole_mp4(folder)
    return put(folder, "x.mp4", content[: len(content) * 2 // 3])


def flipped(folder: Path) -> Path:
    content = bytearray(whole_mp4(folder))
    chance = random.Random(1)
    for _ in range(len(content) // 50):
        content[chance.randrange(content.index(b"mdat") + 8, len(content))] ^= 1 << 3
    return put(folder, "x.mp4", bytes(content))


def wav(folder: Path, seconds: float, **patch: int) -> bytes:
    soundfile.write(folder / "plain.wav", np.zeros(round(seconds * 8000)), 8000)
    content = bytearray((folder / "plain.wav").read_bytes())
    if patch:
        content[40:44] = struct.pack("<I", patch["data_bytes"])
    return bytes(content)


def flac(folder: Path, num_samples: int) -> Path:
    soundfile.write(folder / "plain.flac", tone(1.0).samples[0].numpy(), 22050)
    content = bytearray((folder / "plain.flac").read_bytes())
    field = int.from_bytes(content[18:26], "big") >> 36 << 36 | num_samples
    content[18:26] = field.to_bytes(8, "big")
    return put(folder, "x.flac", bytes(content))


def not_finite(folder: Path) -> Path:
    samples = np.zeros(8000)
    samples[4000] = np.nan
    soundfile.write(folder / "x.wav", samples, 8000, subtype="FLOAT")
    return folder / "x.wav"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.mp4")
    return folder / "x.mp4"


def playlist(folder: Path, text: str) -> Path:
    whole_mp4(folder)
    return put(folder, "x.mp4", text.encode())


EITHER: dict[str, tuple[Builder, str]] = {
    "empty": (lambda d: put(d, "x.mp4", b""), "is empty"),
    "text": (lambda d: put(d, "x.mp4", b"not a video\n" * 99), "cannot be read as one"),
    "noise": (lambda d: put(d, "x.mp4", random.Random(1).randbytes(9999)), "cannot be read as one"),
    "no index": (lambda d: put(d, "x.mp4", whole_mp4(d)[-9000:]), "cannot be read as one"),
    "half": (
        half,
        r"header promises 3\.0\d s, only \d\.\d\d s could be decoded",
    ),
    "flipped bits": (flipped, r"\d+ of \d+ packets are damaged"),
    "ffconcat": (lambda d: playlist(d, "ffconcat version 1.0\nfile 'front.mp4'\n"), "not opened"),
    "hls": (
        lambda d: playlist(d, "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfront.mp4\n"),
        "cannot be read as one",
    ),
    "url": (lambda _: "http://127.0.0.1:9/x.mp4", "addresses are never opened"),
    "concat": (lambda d: f"concat:{d}/a.mp4|{d}/b.mp4", "addresses are never opened"),
    "file url": (lambda d: f"file://{d}/a.mp4", "addresses are never opened"),
    "missing": (lambda d: d / "none.mp4", "there is no file"),
    "directory": (lambda d: d, "is a directory"),
    "pipe": (pipe, "is a pipe"),
    "device": (lambda _: "/dev/zero", "is a device"),
    "null byte": (lambda _: "a\0b", "null byte"),
    "absurd flac": (lambda d: flac(d, 2**36 - 1), "the limit is 86400 s"),
}
SOUNDS: dict[str, tuple[Builder, str]] = {
    "silent video": (lambda d: make_video(d / "x.mp4"), "no readable sound track"),
    "10 hours of flac": (lambda d: flac(d, 36_000 * 22050), r"36000\.00 s, only 1\.00 s"),
    "10 hours of wav": (
        lambda d: put(d, "x.wav", wav(d, 1.0, data_bytes=36_000 * 16_000)),
        r"36000\.00 s, only 1\.00 s",
    ),
    "cut wav": (lambda d: put(d, "x.wav", wav(d, 3.0)[:-16_000]), r"3\.00 s, only 2\.00 s"),
    "NaN": (not_finite, r"NaN or infinity near 0\.\d\d s"),
    "no sample": (lambda d: put(d, "x.wav", wav(d, 0.0)), "holds no sample"),
}
PICTURES: dict[str, tuple[Builder, str]] = {
    "only sound": (lambda d: put(d, "x.wav", wav(d, 1.0)), "no moving picture"),
    "lasting frame": (
        lambda d: make_video(d / "x.mkv", times=[0, 1, 30 * 50_000]),
        "50000 s pass between two pictures",
    ),
    "no duration": (
        lambda d: make_video(d / "x.mkv", codec="ffv1", times=[0, 0, 0]),
        "the 3 pictures of .* are all shown at one moment",
    ),
    "100000 x 1": (
        lambda d: make_video(d / "x.mkv", codec="ffv1", size=(100_000, 1), times=[0]),
        "is 100000 x 1 pixels, the limit is 16384 a side",
    ),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", EITHER)
def test_neither_picture_nor_sound(tmp_path: Path, case: str) -> None:
    build, message = EITHER[case]
    path = build(tmp_path)
    for use in (watch, read_audio, read_audio_ffmpeg16):
        with pytest.raises(MediaError, match=message):
            use(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", SOUNDS)
def test_no_sound(tmp_path: Path, case: str) -> None:
    build, message = SOUNDS[case]
    path = build(tmp_path)
    for use in (read_audio, read_audio_ffmpeg16):
        with pytest.raises(MediaError, match=message):
            use(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", PICTURES)
def test_no_picture(tmp_path: Path, case: str) -> None:
    build, message = PICTURES[case]
    path = build(tmp_path)
    with pytest.raises(MediaError, match=message):
        watch(path)
    with pytest.raises(MediaError, match=message):
        replace_soundtrack(path, [tone(1.0)], tmp_path / "out.mkv", provenance=PROVENANCE)
    assert not (tmp_path / "out.mkv").exists()


def test_a_length_written_to_a_pipe_is_no_promise(tmp_path: Path) -> None:
    path = put(tmp_path, "x.wav", wav(tmp_path, 1.0, data_bytes=2**32 - 1))
    assert read_audio(path).seconds == 1.0


def test_a_small_shortfall_is_tolerated(tmp_path: Path) -> None:
    path = put(tmp_path, "x.wav", wav(tmp_path, 3.0)[:-4000])
    assert read_audio(path).seconds == 2.75


def test_huge_pictures_are_refused_by_the_header(tmp_path: Path) -> None:
    path = make_video(tmp_path / "x.mkv", codec="ffv1", size=(40, 30), times=[0])
    content = bytearray(path.read_bytes())
    # Matroska's PixelWidth (0xB0) and PixelHeight (0xBA), one byte each
    at = content.index(b"\xb0\x81\x28\xba\x81\x1e")
    assert probe(path).width == 40
    content[at : at + 6] = b"\xb0\x83\x01\xff\xff\xec"  # 131071 wide; an empty element after it
    with pytest.raises(MediaError, match=r"131071 x|cannot be read|unknown coding"):
        probe(put(tmp_path, "huge.mkv", bytes(content)))


def test_nothing_is_written_to_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("x.mp4", whole_mp4(tmp_path)[:9000]), ("y.mkv", b"\x1aE\xdf\xa3" * 99)):
        with pytest.raises(MediaError):
            watch(put(tmp_path, name, content))
    assert capfd.readouterr().err == ""


def test_damaged_files_never_raise_anything_else(tmp_path: Path) -> None:
    """Forty random wounds: each reads, or fails by name."""
    whole = whole_mp4(tmp_path)
    chance = random.Random(4)
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 4, 30])):
            at = chance.randrange(len(content))
            content[at : at + 4] = chance.randbytes(4)
        path = put(tmp_path, "x.mp4", bytes(content))
        for use in (watch, read_audio):
            with contextlib.suppress(MediaError):
                use(path)
