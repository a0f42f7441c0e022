"""Segments of waves and the spectrograms that belong to them."""

import pytest
import torch

from earsight.data.wave_segments import PUBLISHED, SegmentDraw, draw_segment, with_spectrograms
from earsight.errors import InputError
from earsight.frontends.specvqgan_mel import log_mel


def noise(seconds: float = 0.5) -> torch.Tensor:
    rng = torch.Generator().manual_seed(7)
    return 0.1 * torch.randn(int(22050 * seconds), generator=rng)


def test_segments_carry_the_spectrogram_of_the_whole_clip() -> None:
    clip, draw = noise(), SegmentDraw(num_frames=12, gain_share=0.0)
    pieces = [draw_segment(clip, draw, torch.Generator().manual_seed(seed)) for seed in range(3)]
    found = with_spectrograms(pieces, draw)
    for wave, mel in zip(found.wave, found.mel, strict=True):
        windows = clip.unfold(0, 12 * 256, 1)
        distances = torch.minimum((windows - wave).abs().amax(1), (windows + wave).abs().amax(1))
        start = int(distances.argmin())
        assert float(distances[start]) == 0
        # frame k of the segment is centred on its sample 256 k
        padded = clip[start - 1024 : start + 12 * 256 + 1024]
        whole = log_mel(padded[None], num_frames=None)[0, :, 4:16]
        torch.testing.assert_close(mel, whole, atol=1e-5, rtol=0)


def test_published_segments_hear_only_themselves_at_published_levels() -> None:
    clip = torch.full((11025,), 0.25)
    pieces = [draw_segment(clip, PUBLISHED, torch.Generator().manual_seed(s)) for s in range(40)]
    found = with_spectrograms(pieces, PUBLISHED)
    assert found.wave.shape == (40, 8192)
    torch.testing.assert_close(found.mel, log_mel(found.wave, num_frames=None)[:, :, :32])
    levels = sorted(float(piece[0]) for piece in pieces)
    assert 0.285 <= levels[0] < 0.33
    assert 0.88 < levels[-1] <= 0.95


def test_levels_are_drawn_in_the_range() -> None:
    draw = SegmentDraw(num_frames=80, gain_share=1.0, peak_db=(-20.0, -20.0))
    found = draw_segment(noise(1.03), draw, torch.Generator().manual_seed(0))
    assert 0.05 < float(found.abs().max()) <= 0.1 + 1e-6


def test_a_short_clip_ends_in_zeros() -> None:
    found = draw_segment(noise(0.1), PUBLISHED, torch.Generator().manual_seed(0))
    assert found.shape == (8192,)
    assert found[:2205].any()
    assert not found[2205:].any()
    with pytest.raises(InputError, match="without samples"):
        draw_segment(torch.zeros(0), PUBLISHED, torch.Generator())
