"""Sound in and out: rates, channels, ranges, streaming, the published 16 bit chain."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from media_clips import PROVENANCE, make_video, pieces, tone

from earsight.errors import InputError, MediaError
from earsight.media.audio import (
    Waveform,
    read_audio,
    read_audio_ffmpeg16,
    resample,
    stream_audio,
    write_audio,
)
from earsight.media.provenance import read_provenance


@pytest.mark.parametrize(("name", "channels"), [("a.wav", 1), ("a.flac", 2), ("a.wav", 8)])
def test_written_sound_comes_back(tmp_path: Path, name: str, channels: int) -> None:
    wave = tone(0.7, rate_hz=44100, channels=channels)
    write_audio(tmp_path / name, pieces(wave, 999), provenance=PROVENANCE)
    back = read_audio(tmp_path / name)
    assert back.rate_hz == 44100
    torch.testing.assert_close(back.samples, wave.samples, atol=2**-23, rtol=0)
    assert read_provenance(tmp_path / name) == PROVENANCE


@pytest.mark.parametrize("name", ["s.ogg", "s.mp3", "s.aiff", "s.caf", "s.au", "s.w64", "s.htk"])
def test_other_formats_are_read(tmp_path: Path, name: str) -> None:
    """The last one is known to libsndfile only."""
    path = tmp_path / name
    wave = tone(1.0, rate_hz=16000)
    soundfile.write(path, wave.samples[0].numpy(), 16000, format=name[2:].upper())
    back = read_audio(path)
    assert (back.rate_hz, back.num_channels) == (16000, 1)
    assert back.num_samples == pytest.approx(16000, abs=1200)
    middle = slice(6000, 8000)
    torch.testing.assert_close(
        back.samples[:, middle].square().mean().sqrt(),
        wave.samples[:, middle].square().mean().sqrt(),
        atol=0.01,
        rtol=0,
    )


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_full_scale_is_one_in_every_sample_format(tmp_path: Path, subtype: str) -> None:
    values = np.array([0.0, 0.5, -0.5, -1.0])
    soundfile.write(tmp_path / "x.wav", values, 8000, subtype=subtype)
    torch.testing.assert_close(
        read_audio(tmp_path / "x.wav").samples[0], torch.tensor(values, dtype=torch.float32)
    )


def test_mono_is_the_plain_mean(tmp_path: Path) -> None:
    """FFmpeg's float resampler would give sqrt(2) times as much."""
    wave = Waveform(torch.full((2, 8000), 0.25), 8000)
    write_audio(tmp_path / "x.wav", wave, provenance=None)
    torch.testing.assert_close(
        read_audio(tmp_path / "x.wav", mono=True).samples, torch.full((1, 8000), 0.25)
    )


def test_a_stream_is_the_file_cut_into_blocks(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.wav", tone(2.3, rate_hz=44100, channels=2), provenance=None)
    whole = read_audio(tmp_path / "x.wav", rate_hz=16000, mono=True)
    blocks = list(stream_audio(tmp_path / "x.wav", rate_hz=16000, mono=True, block_seconds=0.5))
    assert [block.num_samples for block in blocks] == [8000, 8000, 8000, 8000, 4800]
    assert torch.equal(torch.cat([block.samples for block in blocks], dim=1), whole.samples)


def test_a_range_is_the_slice_of_the_whole(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.flac", tone(2.0, rate_hz=8000), provenance=None)
    whole = read_audio(tmp_path / "x.flac")
    part = read_audio(tmp_path / "x.flac", start_seconds=0.25, duration_seconds=0.5)
    assert torch.equal(part.samples, whole.samples[:, 2000:6000])
    beyond = read_audio(tmp_path / "x.flac", start_seconds=1.5, duration_seconds=9.0)
    assert beyond.seconds == 0.5
    with pytest.raises(MediaError, match=r"from 2.000 s on.*ends at 2.000 s"):
        read_audio(tmp_path / "x.flac", start_seconds=2.0)


def test_resampling_keeps_a_tone_and_the_length() -> None:
    changed = resample(tone(1.0, rate_hz=44100), 22050)
    assert changed.num_samples == 22050
    inner = slice(500, -500)  # the filter rings at hard edges
    torch.testing.assert_close(
        changed.samples[:, inner], tone(1.0).samples[:, inner], atol=1e-4, rtol=0
    )


def test_the_published_chain_gives_16_bit_samples(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.wav", tone(1.0, rate_hz=44100, channels=2), provenance=None)
    wave = read_audio_ffmpeg16(tmp_path / "x.wav")
    assert (wave.num_channels, wave.num_samples, wave.rate_hz) == (1, 22050, 22050)
    assert torch.equal(wave.samples * 2**15, (wave.samples * 2**15).round())
    # 0.5 and 0.25 as the mean, not times sqrt(2)
    assert wave.samples.abs().max() == pytest.approx(0.375, abs=0.002)


def test_the_sound_of_a_video_begins_with_its_picture(tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    with av.open(str(make_video(tmp_path / "v.mp4"))) as source, av.open(str(late), "w") as target:
        picture = target.add_stream_from_template(source.streams.video[0], opaque=True)
        sound = target.add_stream("flac", rate=8000, layout="mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = picture
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.full((1, 2304), 2**14, np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 8000, 4000
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    samples = read_audio(late).samples[0]
    assert not samples[:4000].any()
    assert (samples[4000:] == 0.5).all()


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (Waveform(torch.tensor([[0.0, float("nan")]]), 8000), "NaN or infinity"),
        ([], "not even one piece"),
        ([Waveform(torch.zeros(1, 0), 8000)], "all pieces were empty"),
        ([tone(0.1), tone(0.1, channels=2)], "1 channels at 22050 Hz, then 2 at 22050"),
    ],
)
def test_unusable_sound_is_not_written(tmp_path: Path, sound: Waveform, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_audio(tmp_path / "x.wav", sound, provenance=None)
    assert not list(tmp_path.iterdir())


def test_wishes_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.wav or \.flac, got 'x\.mp3'"):
        write_audio(tmp_path / "x.mp3", tone(0.1), provenance=None)
    with pytest.raises(InputError, match="FLAC holds integers only"):
        write_audio(tmp_path / "x.flac", tone(0.1), provenance=None, subtype="FLOAT")
    with pytest.raises(InputError, match="1000 to 768000 Hz, got 1"):
        Waveform(torch.zeros(1, 1), 1)
    write_audio(tmp_path / "x.wav", tone(0.1), provenance=None)
    with pytest.raises(InputError, match="exists already"):
        write_audio(tmp_path / "x.wav", tone(0.1), provenance=None)
    with pytest.raises(InputError, match="length above 0"):
        read_audio(tmp_path / "x.wav", duration_seconds=0.0)


def test_levels_beyond_full_scale_are_clipped(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.wav", Waveform(torch.tensor([[3.0, -3.0]]), 8000), provenance=None)
    back = read_audio(tmp_path / "x.wav").samples
    torch.testing.assert_close(back, torch.tensor([[1.0, -1.0]]), atol=1e-6, rtol=0)
