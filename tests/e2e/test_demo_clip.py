"""The clip that comes with the package is what the renderer makes of its settings."""

from pathlib import Path

import numpy as np
import pytest

from earsight.data.foley_room.ball_drop import BallDropSettings, ball_drop, demo_clip
from earsight.data.foley_room.clip import PictureSettings
from earsight.data.foley_room.clip_files import read_truth, truth_path, write_clip
from earsight.errors import InputError
from earsight.media.frame_rules import EveryFrame
from earsight.media.video import probe, read_frames

DEMO = Path(__file__).parents[2] / "src" / "earsight" / "demo" / "bouncing_ball.mp4"


def peak_signal_to_noise_db(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_the_demo_is_small_and_silent() -> None:
    info = probe(DEMO)
    assert DEMO.stat().st_size < 200_000
    assert not info.has_audio
    assert (info.width, info.height) == (512, 288)
    assert float(info.duration_seconds) == pytest.approx(10, abs=0.01)


def test_the_renderer_makes_the_demo_again() -> None:
    clip = demo_clip()
    stored = read_truth(DEMO)
    assert stored.classes == clip.truth.classes
    for name in ("visibility", "loudness"):
        assert getattr(stored, name) == pytest.approx(getattr(clip.truth, name), abs=1e-9)
    for stored_event, event in zip(stored.events, clip.truth.events, strict=True):
        assert stored_event.sound_class == event.sound_class
        assert stored_event.time_seconds == pytest.approx(event.time_seconds, abs=1e-9)
        assert stored_event.impact_speed == pytest.approx(event.impact_speed, abs=1e-9)
    frames = read_frames(DEMO, rule=EveryFrame())
    assert len(frames.pixels) == clip.picture.num_frames == 215
    for index in (0, 13, 101, 214):
        drawn = clip.draw(index)
        assert peak_signal_to_noise_db(frames.pixels[index].numpy(), drawn) > 33
        assert peak_signal_to_noise_db(frames.pixels[index - 3].numpy(), drawn) < 33 or index == 214


def test_a_clip_is_written_with_its_truth_and_never_over_another(tmp_path: Path) -> None:
    picture = PictureSettings(width=64, height=48, clip_seconds=1.0, exposures=1)
    clip = ball_drop(1, 0, BallDropSettings(picture=picture))
    video = tmp_path / "clip.mp4"
    write_clip(video, clip)
    assert read_truth(video) == clip.truth
    frames = read_frames(video, rule=EveryFrame())
    assert frames.pixels.shape == (picture.num_frames, 48, 64, 3)
    with pytest.raises(InputError, match="exists already"):
        write_clip(video, clip)
    truth_path(video).unlink()
    with pytest.raises(InputError, match=r"expected clip\.truth\.json"):
        read_truth(video)
