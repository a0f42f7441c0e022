"""Every window sees its own stretch of the picture, in memory that does not grow."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from earsight.errors import InputError
from earsight.frontends.column_rows import COLUMN_SECONDS
from earsight.frontends.visual_features import FEATURE_FPS, condition_rows
from earsight.generate.conditions import (
    FeatureConditions,
    MotionConditions,
    NoiseConditions,
    never_still,
    still_track,
)
from earsight.generate.rank import loudness_follows_motion
from earsight.generate.seeds import item_generator


def source_of(count: int, num_samples: int, short: str) -> FeatureConditions:
    assert short in ("zeros", "tile")
    return FeatureConditions(numbered(count), stacked, num_samples=num_samples, short=short)  # pyright: ignore


def stacked(kept: Sequence[Tensor]) -> Tensor:
    return torch.stack([*kept])


def numbered(count: int) -> Iterator[Tensor]:
    return (torch.full((3,), float(i)) for i in range(count))


def test_a_ten_second_clip_gives_the_published_rows() -> None:
    rows = torch.stack(list(numbered(215)))
    asked: list[int] = []

    def features(kept: Sequence[Tensor]) -> Tensor:
        asked.append(len(kept))
        return stacked(kept)

    source = FeatureConditions(numbered(215), features, num_samples=5, short="zeros")
    assert torch.equal(source.window(0), condition_rows(rows, 5))
    assert source.window(0)[:, 0].tolist() == [36, 78, 120, 163, 205]
    assert asked == [5]  # nothing is computed for frames that are not taken, nor twice


@pytest.mark.parametrize("short", ["zeros", "tile"])
def test_a_short_clip_is_completed(short: str) -> None:
    assert short in ("zeros", "tile")
    source = source_of(100, 212, short)
    rows = source.window(0)[:, 0]
    assert rows[:99].tolist() == list(range(1, 100))
    assert rows[99].item() == 0
    assert rows[100].item() == (1 if short == "tile" else 0)


def test_minute_five_is_conditioned_on_minute_five() -> None:
    source = source_of(10_000, 212, "zeros")
    for column in (0, 40, 1600):
        seconds = column * COLUMN_SECONDS
        first = source.window(column)[0, 0].item()
        assert first == pytest.approx(seconds * FEATURE_FPS + 1, abs=0.5)
        assert len(source._buffer) <= 216
    end = source_of(300, 212, "zeros")
    assert end.window(30)[-1, 0].item() == 299
    with pytest.raises(InputError, match="no frames"):
        source_of(0, 5, "zeros").window(0)


def test_motion_windows_move_with_time() -> None:
    track = still_track(60.0)
    track.energy[645:] = 1.0  # second 30
    source = MotionConditions(track, num_columns=53)
    assert source.window(0).max().item() == 0.5
    assert source.window(int(31 / COLUMN_SECONDS))[:, :4].min().item() == 1.0


def test_a_video_that_hardly_moves_is_lifted_and_a_lively_one_is_not() -> None:
    track = still_track(5.0)
    weak = replace(track, energy=track.energy * 0.1)
    weak.energy[10] = 0.2
    lifted = never_still(weak)
    assert lifted.energy.median().item() == pytest.approx(0.5)
    assert (lifted.energy - weak.energy).std().item() < 1e-6
    lively = replace(track, onset=(torch.arange(len(track.onset)) % 5 == 0).float())
    assert torch.equal(never_still(lively).energy, lively.energy)


def test_noise_belongs_to_the_item() -> None:
    def noise(item: int) -> Tensor:
        return NoiseConditions(item_generator(1, item, "noise"), num_samples=1, width=8).window(0)

    assert torch.equal(noise(0), noise(0))
    assert not torch.equal(noise(0), noise(1))


def test_the_score_prefers_sound_that_follows() -> None:
    motion = torch.zeros(100)
    motion[::20] = 1
    following = motion[None, None].repeat_interleave(8, dim=2).expand(1, 80, -1)
    against = 1 - following
    steady = torch.full((1, 80, 800), 0.5)
    scores = loudness_follows_motion(torch.cat([following, against, steady]), motion)
    assert scores[0].item() > 0.9
    assert scores[1].item() < -0.9
    assert scores[2].item() == 0
    assert loudness_follows_motion(following * 0.05, motion).item() < 0
