"""Motion tracks made from sound, and the windows they are made for."""

import pytest
import torch

from earsight.data.collages import FULL_DB, STYLES, CollageConfig, Style, draw_window
from earsight.data.motion_pairs import (
    CLEAN,
    TrackNoise,
    motion_from_sound,
    motion_from_strength,
    rises,
    strength,
)
from earsight.data.sound_events import Span, find_parts, level_db, mel_power, power_mel
from earsight.errors import ConfigError, InputError
from earsight.frontends.motion import MotionTrack, motion_features


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def level_mel(levels_db: torch.Tensor) -> torch.Tensor:
    """A spectrogram of one band whose level per frame is given; -100 is silence."""
    return power_mel((10 ** (levels_db / 10) * (levels_db > -99))[None])


def blows(num_frames: int, at: list[int]) -> torch.Tensor:
    """Silence with blows that die away by 2 dB per frame."""
    levels = torch.full((num_frames,), -100.0)
    for start in at:
        length = min(20, num_frames - start)
        levels[start : start + length] = FULL_DB - 2 * torch.arange(float(length))
    return level_mel(levels)


def test_strength_is_a_tenth_for_60_db_less_and_0_for_silence() -> None:
    full = strength(level_mel(torch.full((8,), FULL_DB)))
    tenth = strength(level_mel(torch.full((8,), FULL_DB - 60)))
    torch.testing.assert_close(full, torch.ones(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(tenth, torch.full((2,), (0.1 - 0.03) / 0.97), atol=1e-4, rtol=0)
    assert not strength(torch.zeros(80, 8)).any()


def test_rises_compare_with_the_two_slots_before() -> None:
    found = rises(torch.tensor([0.5, 0.2, 0.4, 0.9, 1.0]))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.0, 0.0, 0.5, 0.1]))


def test_the_layout_is_that_of_measured_motion() -> None:
    mel = blows(16 * 6, [20, 50])
    made = motion_from_sound(mel, rng=rng(), noise=CLEAN)
    loud = strength(mel)
    grid = loud[:, None].expand(-1, 9)
    track = MotionTrack(
        energy=loud,
        onset=(1.2 * rises(loud)).clamp(max=1),
        grid_energy=grid,
        grid_onset=grid,
        breaks=torch.zeros(len(loud), dtype=torch.bool),
        fps=21.5,
    )
    torch.testing.assert_close(made, motion_features(track, num_columns=6))


def test_silence_has_no_motion_and_motion_stays_in_range() -> None:
    assert not motion_from_strength(torch.zeros(24), rng=rng()).any()
    for seed in range(40):
        made = motion_from_sound(blows(16 * 6, [5, 40]), rng=rng(seed))
        assert made.shape == (6, 8)
        assert bool(((made >= 0) & (made <= 1)).all())


def test_tracks_differ_by_seed_and_repeat_with_it() -> None:
    mel = blows(96, [10])
    first, again, other = (motion_from_sound(mel, rng=rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_positive_delay_comes_later() -> None:
    late = TrackNoise(
        mover_share=0.0, onsetless_share=0.0, max_smooth_slots=1, jitter=0.0, missed_share=0.0,
        false_share=0.0, scale=(1.0, 1.0), exponent=(1.0, 1.0),
    )  # fmt: skip
    loud = torch.zeros(24)
    loud[12] = 1.0
    places = {
        int(motion_from_strength(loud, rng=rng(seed), noise=late)[:, :4].flatten().argmax())
        for seed in range(20)
    }
    assert places == {11, 12, 13}


def test_events_are_found_where_blows_are() -> None:
    parts = find_parts(blows(200, [30, 90, 150]))
    assert parts is not None
    starts = [span.start for span in parts.events]
    assert len(starts) == 3
    assert all(abs(found - true) <= 3 for found, true in zip(starts, (30, 90, 150), strict=True))


def test_a_steady_sound_has_no_events_and_silence_no_parts() -> None:
    parts = find_parts(level_mel(torch.full((200,), -10.0)))
    assert parts is not None
    assert parts.events == ()
    assert parts.steady == (Span(0, 200),)
    assert find_parts(torch.zeros(80, 50)) is None


@pytest.mark.parametrize("style", STYLES)
def test_windows_reach_the_level_they_are_asked_for(style: Style) -> None:
    parts = find_parts(blows(200, [30, 90, 150]))
    assert parts is not None
    config = CollageConfig(num_frames=160, top_db=(-3.0, -3.0), background_share=0.0)
    for seed in range(5):
        mel = draw_window([parts], config, rng(seed), style=style)
        assert mel.shape == (1, 160)
        assert bool(((mel >= 0) & (mel <= 1)).all())
        top = float(level_db(mel_power(mel)).max())
        if style == "silence":
            assert top < FULL_DB - 30
        else:
            assert top == pytest.approx(FULL_DB - 3, abs=0.1)


def test_refusals() -> None:
    with pytest.raises(InputError, match="every clip of the class is silent"):
        draw_window([], CollageConfig(), rng())
    with pytest.raises(InputError, match="a code column has 16"):
        motion_from_sound(torch.zeros(80, 15), rng=rng())
    with pytest.raises(ConfigError, match="must be positive"):
        CollageConfig(events=-1.0)
    with pytest.raises(ConfigError, match="together"):
        TrackNoise(mover_share=0.7, onsetless_share=0.7)
