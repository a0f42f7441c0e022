"""New sound under an untouched picture, and rendered clips."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from media_clips import PROVENANCE, make_video, picture, pieces, tone

from earsight.errors import InputError, MediaError
from earsight.media.audio import Waveform, read_audio
from earsight.media.mux import fitting_suffix, replace_soundtrack, video_packets, write_video
from earsight.media.provenance import Provenance, read_provenance, write_sidecar
from earsight.media.video import EveryFrame, probe, read_frames

H264 = {"codec": "libx264"}
SOURCES = {
    "b-frames.mp4": H264,
    "turned.mp4": {**H264, "rotation": 90},
    "late.mp4": {**H264, "times": range(15, 45)},
    "hidden.mp4": {**H264, "times": range(-10, 20)},
    "uneven.mkv": {**H264, "times": [0, 1, 2, 9, 10, 11, 12, 13, 25, 30]},
    "part2.avi": {"codec": "mpeg4"},
    "vp8.webm": {"codec": "libvpx"},
}
CASES = [
    *((source, suffix) for source in list(SOURCES)[:-1] for suffix in (".mp4", ".mov", ".mkv")),
    ("vp8.webm", ".mkv"),
    ("vp8.webm", ".webm"),
]


@pytest.mark.parametrize(("source", "suffix"), [c for c in CASES if c != ("hidden.mp4", ".mkv")])
def test_the_picture_is_copied_bit_for_bit(tmp_path: Path, source: str, suffix: str) -> None:
    video = make_video(tmp_path / source, **SOURCES[source])
    output = tmp_path / f"out{suffix}"
    replace_soundtrack(video, pieces(tone(9.0), 4000), output, provenance=PROVENANCE)
    assert list(video_packets(output)) == list(video_packets(video))
    before, after = (read_frames(path, rule=EveryFrame()) for path in (video, output))
    assert torch.equal(before.pixels, after.pixels)
    torch.testing.assert_close(before.times_seconds, after.times_seconds, atol=1e-3, rtol=0)
    assert probe(output).rotation_degrees == probe(video).rotation_degrees
    assert read_provenance(output) == PROVENANCE


@pytest.mark.parametrize("sound_seconds", [0.3, 7.0])
@pytest.mark.parametrize(
    ("suffix", "codec", "rate_hz", "frame_seconds"),
    [
        (".mp4", "aac", 22050, 1024 / 22050),
        (".mkv", "aac", 44100, 1024 / 44100),
        (".mp4", "opus", 48000, 0.02),
        (".mkv", "opus", 22050, 0.02),
    ],
)
def test_sound_is_as_long_as_the_picture(
    tmp_path: Path,
    suffix: str,
    codec: str,
    rate_hz: int,
    frame_seconds: float,
    sound_seconds: float,
) -> None:
    video = make_video(tmp_path / "v.mp4", times=range(100))
    sound = tone(sound_seconds, rate_hz=rate_hz)
    output = tmp_path / f"out{suffix}"
    replace_soundtrack(video, [sound], output, audio_codec=codec, provenance=PROVENANCE)
    back = read_audio(output, rate_hz=rate_hz)
    assert probe(output).audio_codec == codec
    assert back.seconds == pytest.approx(100 / 30, abs=frame_seconds)
    # in time: no lag, and silence behind the end of a short sound
    length = min(sound.num_samples, back.num_samples) - 2048
    error = back.samples[:, 2048:length] - sound.samples[:, 2048:length]
    assert error.square().mean().sqrt() < 0.02
    assert back.samples[:, sound.num_samples + 4096 :].square().sum() < 0.01


@pytest.mark.parametrize("channels", range(1, 9))
def test_one_to_eight_channels_stay_in_order(tmp_path: Path, channels: int) -> None:
    """Each channel holds a tone of its own, low enough for a low-frequency channel."""
    video = make_video(tmp_path / "v.mp4", times=range(30))
    tones = [tone(1.0, rate_hz=48000, hz=40 + 10 * number).samples for number in range(channels)]
    sound = Waveform(torch.cat(tones), 48000)
    for suffix, codec in ((".mp4", "aac"), (".mkv", "opus")):
        output = tmp_path / f"out{suffix}"
        if codec == "opus" and channels in (5, 7):
            with pytest.raises(InputError, match="channels interchanged: use AAC"):
                replace_soundtrack(video, [sound], output, audio_codec=codec, provenance=PROVENANCE)
            continue
        replace_soundtrack(video, [sound], output, audio_codec=codec, provenance=PROVENANCE)
        back = read_audio(output)
        inner = slice(4000, 40000)
        likeness = back.samples[:, inner] @ sound.samples[:, inner].T / sound.samples[0].norm() ** 2
        assert likeness.argmax(dim=1).tolist() == list(range(channels))
        assert likeness.diagonal().min() > 0.6


def test_equal_calls_write_equal_bytes(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4")
    for suffix in (".mp4", ".mkv"):
        for name in ("a", "b"):
            replace_soundtrack(
                video, [tone(1.0)], tmp_path / f"{name}{suffix}", provenance=PROVENANCE
            )
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_descriptions_are_kept_and_old_sound_is_not(tmp_path: Path) -> None:
    video = make_video(tmp_path / "plain.mp4", sound_seconds=1.0)
    titled = tmp_path / "titled.mp4"
    with av.open(str(video)) as source, av.open(str(titled), "w") as target:
        target.metadata["title"] = "Harbour"
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    output = tmp_path / "out.mp4"
    replace_soundtrack(titled, [tone(1.0, hz=100)], output, provenance=PROVENANCE)
    with av.open(str(output)) as container:
        assert container.metadata["title"] == "Harbour"
        assert len(container.streams.audio) == 1


def test_what_a_container_cannot_hold_is_named(tmp_path: Path) -> None:
    webm = make_video(tmp_path / "v.webm", codec="libvpx")
    mp4 = make_video(tmp_path / "v.mp4")
    hidden = make_video(tmp_path / "hidden.mp4", times=range(-10, 20))

    def lay(video: Path, output: str, codec: str = "auto") -> None:
        replace_soundtrack(
            video, [tone(1.0)], tmp_path / output, audio_codec=codec, provenance=PROVENANCE
        )

    with pytest.raises(MediaError, match=r"mp4 cannot hold vp8 pictures.*ends in \.mkv"):
        lay(webm, "out.mp4")
    with pytest.raises(MediaError, match=r"mov cannot hold vp8 pictures.*ends in \.mkv"):
        lay(webm, "out.mov")
    with pytest.raises(MediaError, match=r"webm cannot hold aac sound, only opus"):
        lay(webm, "out.webm", "aac")
    with pytest.raises(MediaError, match=r"mov cannot hold opus sound"):
        lay(mp4, "out.mov", "opus")
    with pytest.raises(MediaError, match=r"hides some of its pictures.*ends in \.mp4"):
        lay(hidden, "out.mkv")
    with pytest.raises(MediaError, match=r"written as \.mp4, .*got 'out\.gif'"):
        lay(mp4, "out.gif")
    assert not list(tmp_path.glob("out*")) + list(tmp_path.glob(".*"))
    assert [fitting_suffix(path) for path in (webm, mp4)] == [".webm", ".mp4"]
    assert fitting_suffix(make_video(tmp_path / "v.avi", codec="mpeg4")) == ".mkv"


def test_the_input_is_never_replaced(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4")
    before = video.read_bytes()
    link = tmp_path / "link.mp4"
    link.hardlink_to(video)
    for output in (video, link):
        with pytest.raises(MediaError, match="would replace the input"):
            replace_soundtrack(video, [tone(1.0)], output, provenance=PROVENANCE, overwrite=True)
    assert video.read_bytes() == before
    (tmp_path / "old.mp4").write_bytes(b"old")
    with pytest.raises(InputError, match="exists already"):
        replace_soundtrack(video, [tone(1.0)], tmp_path / "old.mp4", provenance=PROVENANCE)


def test_a_sound_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Waveform]:
        yield tone(0.5)
        yield Waveform(torch.full((1, 100), float("inf")), 22050)

    video = make_video(tmp_path / "v.mp4")
    with pytest.raises(InputError, match="NaN or infinity"):
        replace_soundtrack(video, broken(), tmp_path / "out.mp4", provenance=PROVENANCE)
    with pytest.raises(InputError, match="not even one piece"):
        replace_soundtrack(video, [], tmp_path / "out.mp4", provenance=PROVENANCE)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_cut_video_is_not_copied(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mkv"
    replace_soundtrack(
        make_video(tmp_path / "v.mp4", times=range(90)), [tone(3.0)], whole, provenance=PROVENANCE
    )
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(MediaError, match=r"promises 3\.00 s, only 1\.\d\d s"):
        replace_soundtrack(cut, [tone(3.0)], tmp_path / "out.mkv", provenance=PROVENANCE)
    assert not (tmp_path / "out.mkv").exists()


def test_real_clips_keep_their_packets(tmp_path: Path, data_root: Path) -> None:
    video = data_root / "av_clips/vas/videos/dog/video_02677.mp4"
    output = tmp_path / "out.mp4"
    replace_soundtrack(video, [tone(10.0)], output, provenance=PROVENANCE)
    assert list(video_packets(output)) == list(video_packets(video))
    assert read_audio(output).seconds == pytest.approx(180 * 1001 / 30000, abs=1024 / 22050)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("sounding", [False, True])
def test_rendered_clips(tmp_path: Path, suffix: str, sounding: bool) -> None:
    path = tmp_path / f"clip{suffix}"
    frames = [torch.from_numpy(picture(number, 63, 47)) for number in range(20)]
    write_video(
        path,
        iter(frames),
        fps=Fraction(25),
        sound=[tone(0.2)] if sounding else None,
        provenance=PROVENANCE,
    )
    back = read_frames(path, rule=EveryFrame())
    assert back.pixels.shape == (20, 48, 64, 3)
    torch.testing.assert_close(back.times_seconds, torch.arange(20) / 25, atol=1e-3, rtol=0)
    error = back.pixels[:, :47, :63].float() - torch.stack(frames).float()
    assert error.abs().mean() < 8
    assert probe(path).has_audio == sounding
    assert read_provenance(path) == PROVENANCE
    if sounding:
        assert read_audio(path).seconds == pytest.approx(0.8, abs=1024 / 22050)


def test_frames_of_one_clip_have_one_size(tmp_path: Path) -> None:
    frames = [torch.zeros(8, 8, 3, dtype=torch.uint8), torch.zeros(8, 9, 3, dtype=torch.uint8)]
    with pytest.raises(InputError, match=r"frame 1 is \(8, 9, 3\), the first was \(8, 8, 3\)"):
        write_video(tmp_path / "x.mp4", frames, fps=25.0)
    with pytest.raises(InputError, match="no frames"):
        write_video(tmp_path / "x.mp4", [], fps=25.0)
    assert not list(tmp_path.iterdir())


def test_a_sidecar_repeats_the_provenance(tmp_path: Path) -> None:
    sidecar = write_sidecar(tmp_path / "out.mp4", PROVENANCE, {"rank": 0.5})
    assert sidecar.name == "out.mp4.json"
    assert '"note": "generated by a machine"' in sidecar.read_text()
    assert '"rank": 0.5' in sidecar.read_text()
    with pytest.raises(InputError, match="plain JSON values"):
        Provenance(model="m", weights_sha256="", settings={"x": object()})


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 20, (24, 112, 112, 3), generator=rng)
    ramp = torch.arange(112)[:, None, None] * 2 + torch.arange(24)[:, None, None, None] * 3
    pictures = ((ramp + noise) % 256).to(torch.uint8)
    found: set[bytes] = set()
    for number in range(6):
        path = tmp_path / f"{number}.mp4"
        write_video(path, iter(pictures), fps=Fraction(43, 2))
        found.add(path.read_bytes())
    assert len(found) == 1
