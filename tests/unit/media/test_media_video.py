"""Frames: the published selections, uneven times, orientation, sizes, limits."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter
from media_clips import make_video, picture

from earsight.errors import ConfigError, MediaError
from earsight.media.audio import read_audio
from earsight.media.frame_rules import Copies
from earsight.media.video import (
    EveryFrame,
    FpsFilter,
    FrameRule,
    OutputRate,
    probe,
    read_frames,
    stream_frames,
)

PUBLISHED_FPS = Fraction(43, 2)


def selected(rule: FrameRule, times: list[Fraction], frame_seconds: Fraction) -> list[int]:
    """Numbers of the frames that a rule emits."""
    selector = rule.start(frame_seconds)
    numbers: list[int] = []
    for number, time in enumerate(times):
        copies = selector.see(time)
        numbers += [number - 1] * copies.previous + [number] * copies.new
    return numbers + [len(times) - 1] * selector.finish(times[-1] + frame_seconds)


def even(num_frames: int, fps: int) -> list[Fraction]:
    return [Fraction(number, fps) for number in range(num_frames)]


def test_fps_filter_on_ten_seconds_at_30() -> None:
    numbers = selected(FpsFilter(PUBLISHED_FPS), even(300, 30), Fraction(1, 30))
    assert len(numbers) == 215
    assert numbers[:14] == [0, 2, 3, 4, 6, 7, 9, 10, 11, 13, 14, 16, 17, 18]


def test_output_rate_on_ten_seconds_at_30() -> None:
    numbers = selected(OutputRate(PUBLISHED_FPS), even(300, 30), Fraction(1, 30))
    assert len(numbers) == 217
    assert numbers[:9] == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_output_rate_repeats_frames_of_a_slow_video() -> None:
    numbers = selected(OutputRate(Fraction(20)), even(5, 10), Fraction(1, 10))
    assert numbers == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_output_rate_fills_a_pause_with_the_frame_before() -> None:
    selector = OutputRate(Fraction(10)).start(Fraction(1, 10))
    assert selector.see(Fraction(0)) == Copies(0, 1)
    # slot 10 where 1 is next: 10 frames are due, of which round(9 - 0.6) show the old picture
    assert selector.see(Fraction(1)) == Copies(8, 2)


def test_output_rate_drops_what_lies_more_than_1_1_slots_back() -> None:
    selector = OutputRate(Fraction(10)).start(Fraction(1, 1000))
    assert [selector.see(Fraction(0)), selector.see(Fraction(0))] == [Copies(0, 1), Copies(0, 1)]
    # slot 2 is next: the frame ends 1.11 slots before it, then 1.05
    assert selector.see(Fraction(88, 1000)) == Copies(0, 0)
    assert selector.see(Fraction(94, 1000)) == Copies(0, 1)


def test_a_single_short_frame_is_still_shown() -> None:
    assert selected(FpsFilter(Fraction(2)), [Fraction(0)], Fraction(1, 100)) == [0]


def ffmpeg_fps(path: Path, fps: str) -> list[np.ndarray]:
    """Frames by FFmpeg's own filter, fed as its program does: times count from the file's start."""
    graph = av.filter.Graph()
    frames: list[np.ndarray] = []
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        nodes = [graph.add_buffer(template=stream), graph.add("fps", fps), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        for frame in [*container.decode(stream), None]:
            if frame is not None:
                frame.pts -= round(container.start_time / (1_000_000 * stream.time_base))
            graph.push(frame)
            while True:
                try:
                    shown = graph.pull()
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
                frames.append(reformatter.reformat(shown, format="rgb24", threads=1).to_ndarray())
    return frames


@pytest.mark.parametrize(
    ("times", "fps", "sound_seconds"),
    [
        (list(range(60)), 30, 0.0),
        (list(range(20)), 10, 0.0),
        ([0, 1, 2, 10, 11, 30, 31, 32, 50], 30, 0.0),
        (list(range(7, 40)), 24, 0.0),
        (list(range(7, 40)), 24, 1.0),
    ],
    ids=["faster", "slower", "uneven", "late", "later than the sound"],
)
def test_fps_filter_gives_ffmpegs_frames(
    tmp_path: Path, times: list[int], fps: int, sound_seconds: float
) -> None:
    path = make_video(tmp_path / "v.mp4", times=times, fps=fps, sound_seconds=sound_seconds)
    ours = read_frames(path, rule=FpsFilter(PUBLISHED_FPS))
    theirs = np.stack(ffmpeg_fps(path, "43/2"))
    assert torch.equal(ours.pixels, torch.from_numpy(theirs))
    assert ours.times_seconds[:3].tolist() == pytest.approx([0, 2 / 43, 4 / 43])


def test_real_clips_have_the_published_counts(data_root: Path) -> None:
    path = data_root / "av_clips/vggsound/video/1aDnyPubxdY_118000_128000.mp4"
    every = [f.pixels for f in stream_frames(path, rule=EveryFrame(), size=(32, 24))]
    chosen = [f.pixels for f in stream_frames(path, rule=FpsFilter(PUBLISHED_FPS), size=(32, 24))]
    assert (len(every), len(chosen)) == (300, 215)
    expected = [0, 2, 3, 4, 6, 7, 9, 10, 11, 13, 14, 16, 17, 18]
    assert all(torch.equal(chosen[n], every[k]) for n, k in enumerate(expected))
    rated = [f.pixels for f in stream_frames(path, rule=OutputRate(PUBLISHED_FPS), size=(32, 24))]
    assert len(rated) == 217
    assert all(torch.equal(a, b) for a, b in zip(rated[:7], every[:7], strict=True))


def test_every_frame_keeps_uneven_times(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", times=[3, 4, 9, 30])
    frames = read_frames(path, rule=EveryFrame())
    assert frames.fps is None
    assert frames.times_seconds.tolist() == pytest.approx([0, 1 / 30, 6 / 30, 27 / 30], abs=1e-3)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_stand_upright(tmp_path: Path, rotation: int) -> None:
    """`rotation` turns counter-clockwise, as numpy's rot90 does."""
    path = make_video(tmp_path / "v.mp4", times=range(3), rotation=rotation)
    info = probe(path)
    pixels = read_frames(path, rule=EveryFrame()).pixels[0].numpy()
    expected = np.rot90(picture(0), k=rotation // 90)
    assert pixels.shape == expected.shape == (info.height, info.width, 3)
    assert info.rotation_degrees == -rotation % 360
    assert np.abs(pixels.astype(int) - expected).mean() < 8


def test_a_mirrored_picture_is_turned_back(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(0, vflip=True)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), "rgb24")))
        container.mux(stream.encode(None))
    pixels = read_frames(tmp_path / "v.mp4", rule=EveryFrame()).pixels[0].numpy()
    assert np.abs(pixels.astype(int) - picture(0)[::-1]).mean() < 8


def test_scaling_applies_to_the_upright_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", times=range(2), rotation=90)
    assert read_frames(path, rule=EveryFrame(), size=(20, 30)).pixels.shape == (2, 30, 20, 3)


def test_no_frame_is_lost_behind_another_track(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "v.mp4", sound_seconds=1.0)
    swapped = tmp_path / "swapped.mkv"
    with av.open(str(clip)) as source, av.open(str(swapped), "w") as target:
        streams = [*source.streams.audio, *source.streams.video]
        copies = {s.index: target.add_stream_from_template(s, opaque=True) for s in streams}
        for packet in source.demux(*streams):
            if packet.size:
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    assert len(read_frames(swapped, rule=EveryFrame()).pixels) == 30
    end = slice(-2000, None)
    assert torch.equal(read_audio(swapped).samples[:, end], read_audio(clip).samples[:, end])


def test_odd_sizes_are_read(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.avi", codec="mpeg4", size=(37, 23), times=range(2))
    assert read_frames(path, rule=EveryFrame()).pixels.shape == (2, 23, 37, 3)


def test_probe_tells_what_is_inside(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "v.mp4", sound_seconds=1.0))
    assert (info.width, info.height, info.average_fps, info.num_frames_declared) == (64, 48, 30, 30)
    assert (info.video_codec, info.audio_codec, info.audio_rate_hz) == ("h264", "aac", 22050)
    assert info.duration_seconds == pytest.approx(1.0)
    assert not probe(make_video(tmp_path / "silent.mkv")).has_audio


def test_rates_that_no_video_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="above 0 and at most 1000, got 0"):
        FpsFilter(Fraction(0))


def test_a_lying_timestamp_is_not_filled_with_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mkv", times=[0, 1, 2, 30 * 1000])
    with pytest.raises(MediaError, match=r"1000 s pass between two pictures at 0\.07 s"):
        list(stream_frames(path, rule=FpsFilter(PUBLISHED_FPS)))


def test_too_many_frames_for_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "v.mp4")
    monkeypatch.setattr("earsight.media.video.MAX_BYTES_IN_MEMORY", 64 * 48 * 3 * 10)
    with pytest.raises(MediaError, match="smaller size, or read it by stream_frames"):
        read_frames(path, rule=EveryFrame())
