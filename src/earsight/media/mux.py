"""Videos out: a new sound track under an untouched picture, and rendered clips.

Axes: h rows, w columns.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from earsight.errors import InputError, MediaError
from earsight.files import refuse_existing, staged
from earsight.media.decode import AnyPacket, Tally, demuxed_packets
from earsight.media.guard import (
    load_av,
    local_file,
    open_container,
    picture_stream,
    reading,
    refuse_size,
    writing,
)
from earsight.media.packet_copy import PictureCopy
from earsight.media.provenance import Provenance
from earsight.media.sound_track import SoundCodec, SoundTrack
from earsight.media.waveform import Waveform

if TYPE_CHECKING:
    import av.container
    import av.video.frame
    import av.video.stream

VIDEO = "a video"
_CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
# the first is taken by "auto"
_SOUND_CODECS: dict[str, tuple[SoundCodec, ...]] = {
    "mp4": ("aac", "opus"),
    "mov": ("aac",),
    "matroska": ("aac", "opus"),
    "webm": ("opus",),
}
# describe the old container, not the clip
_TECHNICAL_METADATA = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_PICTURE_METADATA = {"language", "handler_name", "title"}


def replace_soundtrack(
    video: str | Path,
    sound: Iterable[Waveform],
    output: str | Path,
    *,
    provenance: Provenance,
    audio_codec: Literal["auto", "aac", "opus"] = "auto",
    overwrite: bool = False,
) -> None:
    """Copy a video's picture, packet by packet and bit for bit, under a new sound.

    (Only the framing of H.264 and H.265 out of transport streams is rewritten by mp4 and mkv.)
    The sound begins with the first shown picture and is cut, or filled with silence, to the
    picture's length. Order, times, rotation, aspect and the container's descriptions are kept;
    other tracks are left out. Memory does not grow with length. "auto" is AAC, in .webm Opus.
    Raises MediaError where the container of `output` (by its ending) cannot hold the picture or
    sound, or would replace the input; InputError for an existing output.
    """
    video, output = Path(video), Path(output)
    kind = _container_kind(output)
    codec = _sound_codec(kind, audio_codec, output)
    file = local_file(video, expected=VIDEO)
    if output.exists() and output.samefile(file):
        raise MediaError(f"the output would replace the input {video}: choose another name")
    refuse_existing(output, overwrite=overwrite)
    with (
        open_container(file, expected=VIDEO) as source,
        staged(output, overwrite=overwrite) as temporary,
        writing(output),
        _create(temporary, kind) as target,
    ):
        with reading(file, expected=VIDEO):
            picture = picture_stream(source, file)
        kept = {k: v for k, v in source.metadata.items() if k.lower() not in _TECHNICAL_METADATA}
        target.metadata.update({**kept, **provenance.to_metadata()})
        copy = _copied_stream(target, picture, output)
        track = SoundTrack(target, sound, codec)
        _begin(target, picture, output)
        packets = PictureCopy(source, picture, file)
        for packet in packets:
            _refuse_hidden(packet, kind, output)
            packet.stream = copy
            target.mux(packet)
            track.feed(packets.end_seconds)
        track.finish(packets.end_seconds)


def video_packets(path: str | Path) -> Iterator[bytes]:
    """Content of each packet of a video's picture, in decode order."""
    with open_container(path, expected=VIDEO) as container:
        file = Path(container.name)
        with reading(file, expected=VIDEO):
            stream = picture_stream(container, file)
            for packet in demuxed_packets(container, stream, Tally(container, stream, file)):
                if packet.size:
                    yield bytes(packet)


def fitting_suffix(video: str | Path) -> str:
    """File ending of a container that holds the video's picture and a new sound: its own, or .mkv.

    Raises MediaError for anything that is not a readable video.
    """
    with open_container(video, expected=VIDEO) as container:
        file = Path(container.name)
        with reading(file, expected=VIDEO):
            picture_stream(container, file)
        names = set(container.format.name.split(","))
    suffix = file.suffix.lower()
    holds = {"matroska": "matroska", "webm": "matroska", "mp4": "mp4", "mov": "mp4"}
    return suffix if holds.get(_CONTAINERS.get(suffix, "")) in names else ".mkv"


def write_video(
    path: str | Path,
    frames: Iterable[UInt8[Tensor, "h w 3"]],
    *,
    fps: Fraction | float,
    sound: Iterable[Waveform] | None = None,
    provenance: Provenance | None = None,
    overwrite: bool = False,
) -> None:
    """Encode a rendered clip, silent or with sound, into .mp4, .mov or .mkv.

    H.264 where the installed libraries have an encoder, else MPEG-4 part 2. Odd sizes get a last
    row or column repeated, since the coding works on pairs. The sound is as long as the picture.
    Raises InputError for no frames, frames of different sizes or an existing file.
    """
    path = Path(path)
    kind = _container_kind(path)
    if kind == "webm":
        raise MediaError(f"a rendered clip is written as .mp4, .mov or .mkv, got '{path.name}'")
    if not 0 < fps <= 1000:
        raise InputError(f"fps must be above 0 and at most 1000, got {fps}")
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise InputError(f"no frames to write to {path}")
    refuse_size(path, first.shape[1], first.shape[0])
    rate = Fraction(fps).limit_denominator(1001)
    with (
        staged(path, overwrite=overwrite) as temporary,
        writing(path),
        _create(temporary, kind) as target,
    ):
        if provenance is not None:
            target.metadata.update(provenance.to_metadata())
        stream = _picture_encoder(target, first, rate)
        track = None if sound is None else SoundTrack(target, sound, _SOUND_CODECS[kind][0])
        num_frames = 0
        for pixels in chain([first], rest):
            target.mux(stream.encode(_picture_frame(pixels, first, num_frames, rate)))
            num_frames += 1
            if track is not None:
                track.feed(float(num_frames / rate))
        target.mux(stream.encode(None))
        if track is not None:
            track.finish(float(num_frames / rate))


def _container_kind(output: Path) -> str:
    kind = _CONTAINERS.get(output.suffix.lower())
    if kind is None:
        raise MediaError(
            f"a video is written as {', '.join(_CONTAINERS)}, got '{output.name}': "
            "change the ending"
        )
    return kind


def _sound_codec(kind: str, wanted: Literal["auto", "aac", "opus"], output: Path) -> SoundCodec:
    held = _SOUND_CODECS[kind]
    if wanted == "auto":
        return held[0]
    if wanted not in held:
        raise MediaError(
            f"{output.name}: {kind} cannot hold {wanted} sound, only {' or '.join(held)}; "
            "choose that, or a name that ends in .mkv"
        )
    return wanted


def _create(path: Path, kind: str) -> "av.container.OutputContainer":
    load_av("writing video")
    import av

    # bitexact: no random identifiers, so that equal input gives equal bytes
    options = {"fflags": "+bitexact"}
    if kind in ("mp4", "mov"):
        options["movflags"] = "+faststart"  # the index first, so that players can start at once
    return av.open(str(path), "w", format=kind, container_options=options)


def _copied_stream(
    target: "av.container.OutputContainer", picture: "av.video.stream.VideoStream", output: Path
) -> "av.video.stream.VideoStream":
    """A stream of the same coding, with the original's description."""
    try:
        # opaque: no encoder of that coding is needed to copy it
        copy = target.add_stream_from_template(picture, opaque=True)
    except ValueError as error:
        raise _unfit(target, picture, output) from error
    copy.metadata.update(
        {name: text for name, text in picture.metadata.items() if name in _PICTURE_METADATA}
    )
    return copy


def _begin(
    target: "av.container.OutputContainer", picture: "av.video.stream.VideoStream", output: Path
) -> None:
    """Write the header, where some containers refuse what they seemed to take."""
    import av.error

    try:
        target.start_encoding()
    except (ValueError, av.error.PatchWelcomeError) as error:
        raise _unfit(target, picture, output) from error


def _unfit(
    target: "av.container.OutputContainer", picture: "av.video.stream.VideoStream", output: Path
) -> MediaError:
    return MediaError(
        f"{output.name}: {target.format.name} cannot hold {picture.codec_context.name} pictures "
        "without coding them anew; choose a name that ends in .mkv"
    )


def _refuse_hidden(packet: AnyPacket, kind: str, output: Path) -> None:
    # cut clips keep pictures that are decoded and not shown; mp4 says so, Matroska cannot
    if packet.is_discard and kind in ("matroska", "webm"):
        raise MediaError(
            f"{output.name}: the video hides some of its pictures (it was cut without coding it "
            f"anew), and {kind} would show them; choose a name that ends in .mp4"
        )


def _picture_encoder(
    target: "av.container.OutputContainer", first: Tensor, rate: Fraction
) -> "av.video.stream.VideoStream":
    import av

    height, width = first.shape[:2]
    if "libx264" in av.codecs_available:
        # macroblock-tree rate control does not always give the same bytes for the same pictures
        options = {"crf": "18", "x264-params": "mbtree=0"}
        stream = target.add_stream("libx264", rate=rate, options=options)
    else:
        stream = target.add_stream("mpeg4", rate=rate, options={"qscale": "3"})
    stream.width, stream.height = width + width % 2, height + height % 2
    stream.pix_fmt = "yuv420p"
    return stream


def _picture_frame(
    pixels: Tensor, first: Tensor, index: int, rate: Fraction
) -> "av.video.frame.VideoFrame":
    import av

    if pixels.shape != first.shape:
        raise InputError(
            f"frame {index} is {tuple(pixels.shape)}, the first was {tuple(first.shape)}: "
            "all frames of a clip have one size"
        )
    height, width = pixels.shape[:2]
    even = np.pad(pixels.cpu().numpy(), ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(even, format="rgb24")
    frame.pts, frame.time_base = index, 1 / rate
    return frame
