"""Clips that are prepared, made once."""

from pathlib import Path

import pytest
from media_files import sound, video


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of uneven lengths in two classes, and three that cannot be used."""
    folder = tmp_path_factory.mktemp("clips")
    video(folder / "train" / "dog" / "long.mp4", 1.5)
    video(folder / "train" / "dog" / "short.mp4", 0.5)
    video(folder / "train" / "rain" / "one.mp4", 1.0)
    video(folder / "test" / "rain" / "two.mp4", 0.75)
    video(folder / "train" / "rain" / "silent.mp4", 0.5, silent=True)
    sound(folder / "train" / "rain" / "alone.wav", 0.5)
    (folder / "train" / "rain" / "broken.mp4").write_bytes(b"no video at all" * 100)
    return folder


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds alone, one of them too short."""
    folder = tmp_path_factory.mktemp("sounds")
    sound(folder / "bell" / "a.wav", 0.6)
    sound(folder / "bell" / "b.wav", 0.3, rate_hz=8000)
    sound(folder / "bell" / "blip.wav", 0.1)
    return folder
