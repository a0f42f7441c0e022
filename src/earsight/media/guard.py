"""The one door through which media files are opened, and the words used when one is refused.

Files are untrusted. Only regular local files are opened, never a URL, a device or another protocol;
only container formats that cannot name further files are recognised (a text that begins with
`ffconcat` or `#EXTM3U` would otherwise be followed); sizes and durations are bounded before
anything is allocated; whatever the libraries raise becomes a MediaError.
"""

import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from earsight.errors import MediaError
from earsight.extras import require

if TYPE_CHECKING:
    import av.audio.stream
    import av.container
    import av.stream
    import av.video.stream

MAX_PIXELS = 2**26
MAX_SIDE_PIXELS = 16384
MAX_SECONDS = 24 * 3600.0
# the longest time one picture may stay; a lying timestamp would otherwise be filled with copies
MAX_GAP_SECONDS = 600.0
MAX_BYTES_IN_MEMORY = 2**32
MAX_CHANNELS = 64
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 768_000

# demuxers that read one file and nothing beside it
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,gif,"
    "wav,w64,aiff,au,caf,flac,ogg,mp3,aac,ac3,amr"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:")
_KINDS = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}


def local_file(path: str | Path, *, expected: str) -> Path:
    """Absolute path of a regular local file with at least one byte.

    `expected` names the wanted content in messages ("a video"). Raises MediaError for URLs and
    other protocols, missing files, directories, pipes, devices and empty files.
    """
    file = Path(path)
    try:
        status = file.stat()
    except FileNotFoundError:
        if _SCHEME.match(str(path)):
            raise MediaError(
                f"expected {expected} in a local file, got the address '{path}': "
                "addresses are never opened; download the file first and give its path"
            ) from None
        raise MediaError(
            f"expected {expected}, but there is no file '{path}': check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise MediaError(f"expected {expected}, cannot look at {str(path)!r}: {error}") from error
    for is_kind, kind in _KINDS.items():
        if is_kind(status.st_mode):
            raise MediaError(f"expected {expected}, but '{path}' is {kind}: give a regular file")
    if status.st_size == 0:
        raise MediaError(f"expected {expected}, but '{path}' is empty (0 bytes): copy it again")
    return file.resolve()


@contextmanager
def reading(path: Path, *, expected: str) -> Generator[None, None, None]:
    """Turn what the media libraries raise while `path` is read into MediaError."""
    try:
        yield
    except MediaError:
        raise
    except Exception as error:
        if not _is_library_error(error):
            raise
        raise MediaError(
            f"expected {expected}, but {path} cannot be read as one ({_reason(error)}): "
            "it may be damaged, cut short or of another kind than its name says; export it again"
        ) from error


@contextmanager
def writing(path: Path) -> Generator[None, None, None]:
    """Turn what the media libraries raise while `path` is written into MediaError."""
    try:
        yield
    except MediaError:
        raise
    except Exception as error:
        if not _is_library_error(error):
            raise
        raise MediaError(
            f"cannot write {path} ({_reason(error)}): check free space and the folder's "
            "permissions, or choose another format by the name's ending"
        ) from error


@contextmanager
def open_container(
    path: str | Path, *, expected: str
) -> Generator["av.container.InputContainer", None, None]:
    """Open a local media file for demuxing; see the module's text for what is refused.

    Only opening is translated into MediaError here: wrap what follows in `reading`.
    """
    file = local_file(path, expected=expected)
    load_av(f"reading {expected}")
    import av
    import av.error

    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "file",
        "max_pixels": str(MAX_PIXELS),
    }
    with reading(file, expected=expected):
        try:
            container = av.open(str(file), "r", options=options, metadata_errors="replace")
        except av.error.ArgumentError as error:
            raise MediaError(
                f"expected {expected}, but {file} is of a kind that is not opened (playlists and "
                f"lists of other files never are); read are: {FORMATS}"
            ) from error
    with container:
        refuse_length(file, container.duration / 1e6 if container.duration else 0.0)
        yield container


def load_av(purpose: str) -> None:
    """Make sure that PyAV is there, and silence its libraries' own messages."""
    require("av", extra="media", purpose=purpose)
    import av.logging

    # not a level such as PANIC: with any level set, a decoding thread waits for Python's lock to
    # report an error while the thread that closes the file holds it, for ever
    av.logging.set_level(None)


def picture_stream(
    container: "av.container.InputContainer", path: Path
) -> "av.video.stream.VideoStream":
    """The first moving picture of a file; a cover or thumbnail is none.

    Raises MediaError when there is none or its size is out of bounds.
    """
    pictures = [stream for stream in container.streams.video if is_moving(stream)]
    if not pictures:
        raise MediaError(
            f"expected a video, but {path} has no moving picture ({_contents(container)}): "
            "give a video file"
        )
    stream = pictures[0]
    if not _decodable(stream):
        raise MediaError(f"expected a video, but {path}'s picture is in an unknown coding")
    refuse_size(path, stream.width, stream.height)
    return stream


def frame_seconds(stream: "av.video.stream.VideoStream") -> Fraction:
    """Time between two frames by the header; that of 25 fps where it says nothing sensible."""
    rate = stream.guessed_rate or stream.average_rate
    return 1 / Fraction(rate) if rate is not None and 0 < rate <= 1000 else Fraction(1, 25)


def is_moving(stream: "av.video.stream.VideoStream") -> bool:
    """Whether a picture stream is a video, and not a cover or a set of thumbnails."""
    from av.stream import Disposition

    return not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)


def sound_stream(
    container: "av.container.InputContainer", path: Path
) -> "av.audio.stream.AudioStream":
    """The first sound track of a file. Raises MediaError when there is none."""
    tracks = [s for s in container.streams.audio if _decodable(s)]
    if not tracks:
        raise MediaError(
            f"expected sound, but {path} has no readable sound track ({_contents(container)}): "
            "give a sound file, or a video with sound"
        )
    return tracks[0]


def refuse_size(path: Path, width: int, height: int) -> None:
    """Raise MediaError for pictures without area, too long on one side or too large in all."""
    if width < 1 or height < 1:
        raise MediaError(
            f"expected a picture, but {path} states a size of {width} x {height} pixels: "
            "it is damaged; export it again"
        )
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_PIXELS:
        raise MediaError(
            f"{path} is {width} x {height} pixels, the limit is {MAX_SIDE_PIXELS} a side and "
            f"{MAX_PIXELS / 1e6:.0f} million in all: scale it down first"
        )


def refuse_length(path: Path, seconds: float) -> None:
    """Raise MediaError for a stated length that is negative or beyond MAX_SECONDS."""
    if not 0 <= seconds <= MAX_SECONDS:
        raise MediaError(
            f"{path} states a length of {seconds:.0f} s, the limit is {MAX_SECONDS:.0f} s: "
            "its header is damaged, or cut it into parts"
        )


def refuse_standstill(path: Path, *, num_frames: int, span_seconds: float) -> None:
    """Raise MediaError for several pictures that are all shown at one moment."""
    if num_frames > 1 and span_seconds <= 0:
        raise MediaError(
            f"expected a video, but the {num_frames} pictures of {path} are all shown at one "
            "moment, so it has no duration: its timestamps are damaged; export it again"
        )


def refuse_gap(path: Path, *, before: float, after: float) -> None:
    """Raise MediaError where two pictures follow each other after more than MAX_GAP_SECONDS."""
    if after - before > MAX_GAP_SECONDS:
        raise MediaError(
            f"{path}: {after - before:.0f} s pass between two pictures at {before:.2f} s, the "
            f"limit is {MAX_GAP_SECONDS:.0f} s: its timestamps are damaged; export it again"
        )


def _decodable(stream: "av.stream.Stream") -> bool:
    # streams of unknown coding have no codec context, against the library's own annotation
    return getattr(stream, "codec_context", None) is not None


def _contents(container: "av.container.InputContainer") -> str:
    kinds = [stream.type for stream in container.streams]
    return f"found: {', '.join(kinds)}" if kinds else "found no stream at all"


def _is_library_error(error: Exception) -> bool:
    """Whether PyAV, libsndfile or the operating system raised it, and not our own mistake."""
    modules = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return isinstance(error, OSError | EOFError | MemoryError) or bool(
        modules & {"av", "soundfile", "_soundfile"}
    )


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
