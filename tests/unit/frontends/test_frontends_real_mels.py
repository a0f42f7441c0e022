"""Spectrograms of real clips against the ones published for them.

The published sounds went through AAC twice, so they differ by what that adds: the bounds lie just
above the measured errors. They catch a wrong scale, norm, power, level or alignment.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from earsight.frontends.specvqgan_mel import CLIP_SAMPLES, log_mel, tile_to_clip
from earsight.media.audio import read_audio_ffmpeg16
from earsight.media.video import probe

NAMES = (
    "-1pRmoJIGQc_10000_20000",
    "-Qowmc0P9ic_34000_44000",
    "0nib7bMm8BA_15000_25000",
    "1aDnyPubxdY_118000_128000",
    "3HgbEKrbA9s_54000_64000",
    "3JYjNHFJfO4_363000_373000",
    "53UdZyM9MyE_252000_262000",
    "7tMPoaU2oL4_0_10000",
    "video_01951",
    "video_00331",
    "video_02677",
    "video_02480",
    "video_02997",
    "video_03051",
    "video_00819",
    "video_00323",
)
TILED = ("video_02677", "video_00819")


@pytest.mark.parametrize("name", NAMES)
def test_mel_is_the_published_one(data_root: Path, name: str) -> None:
    clips = data_root / "av_clips"
    video, published = next(clips.rglob(f"{name}.mp4")), next(clips.rglob(f"{name}_mel.npy"))
    wave = read_audio_ffmpeg16(video).samples[0]
    info = probe(video)
    assert (wave.numel() < CLIP_SAMPLES) == (name in TILED)
    tiled = tile_to_clip(wave, source_rate_hz=info.audio_rate_hz)
    mel = log_mel(tiled[None])[0].double()
    expected = torch.from_numpy(np.load(published)).double()
    error = (mel - expected).abs().mean()
    correlation = torch.corrcoef(torch.stack([mel.flatten(), expected.flatten()]))[0, 1]
    assert error <= (0.004 if info.audio_channels == 1 else 0.022)
    assert correlation >= 0.92
    if name in TILED:  # back to back copies miss by 0.022, the published gap by 0.009
        assert error <= 0.0095
