"""Tiny videos and sounds, made on the spot for the tests of this folder."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from earsight.media.audio import Waveform
from earsight.media.provenance import Provenance

WIDTH, HEIGHT, FPS = 64, 48, 30
PROVENANCE = Provenance(model="test", weights_sha256="ab" * 32, seed=7, settings={"top_k": 4})


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Red by number, green mark in the upper left corner: tells frames and orientations apart."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = index * 5 % 256
    pixels[: height // 4, : width // 4, 1] = 255
    return pixels


def make_video(
    path: Path,
    *,
    times: Iterable[int] = range(30),
    fps: int = FPS,
    codec: str = "libx264",
    rotation: int | None = None,
    sound_seconds: float = 0.0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """A clip with frames at `times` (in frames, may be uneven or begin anywhere)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if rotation is not None:
            stream.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=22050, layout="mono") if sound_seconds else None
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(tone(sound_seconds).samples.numpy(), "fltp", "mono")
            frame.sample_rate, frame.pts = 22050, 0
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def tone(seconds: float, *, rate_hz: int = 22050, channels: int = 1, hz: float = 440) -> Waveform:
    """A sine of amplitude 0.5, each channel quieter than the one before."""
    wave = 0.5 * torch.sin(torch.arange(round(seconds * rate_hz)) * (2 * torch.pi * hz / rate_hz))
    levels = 1 / torch.arange(1, channels + 1)
    return Waveform(levels[:, None] * wave, rate_hz)


def pieces(wave: Waveform, num_samples: int) -> Iterable[Waveform]:
    """The same sound cut into pieces."""
    for start in range(0, wave.num_samples, num_samples):
        yield Waveform(wave.samples[:, start : start + num_samples], wave.rate_hz)
