"""Small media for the tests of preparation: a moving square, and clicks as its sound."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import torch

from earsight.media.audio import Waveform
from earsight.media.mux import write_video
from earsight.media.wave_write import write_audio


def clicks(seconds: float, *, rate_hz: int = 22050, level: float = 0.5) -> Waveform:
    """A decaying click every quarter of a second."""
    times = torch.arange(round(seconds * rate_hz)) / rate_hz
    tone = torch.sin(2 * torch.pi * 600 * times) * torch.exp(-30 * (times % 0.25))
    return Waveform(level * tone[None], rate_hz)


def moving(num_frames: int) -> Iterator[torch.Tensor]:
    """A square that goes to the right."""
    for index in range(num_frames):
        picture = torch.full((32, 48, 3), 40, dtype=torch.uint8)
        left = 2 * index % 36
        picture[10:22, left : left + 12] = 200
        yield picture


def video(path: Path, seconds: float, *, silent: bool = False) -> Path:
    """A clip at 20 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = None if silent else [clicks(seconds, rate_hz=44100)]
    write_video(path, moving(round(seconds * 20)), fps=Fraction(20), sound=sound)
    return path


def sound(path: Path, seconds: float, *, rate_hz: int = 22050) -> Path:
    """Clicks as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, clicks(seconds, rate_hz=rate_hz), provenance=None, subtype="PCM_16")
    return path
