"""Which rows of a clip's features reach the transformer."""

import pytest
import torch

from earsight.errors import InputError
from earsight.frontends import visual_features as front


def counted(num_rows: int, width: int = 3) -> torch.Tensor:
    """Row i holds i + 1, so that zeros can be told from the first row."""
    return torch.arange(1.0, num_rows + 1)[:, None].repeat(1, width)


@pytest.mark.parametrize(
    ("num_samples", "rows"),
    [
        (1, [106]),
        (2, [70, 176]),
        (5, [35, 77, 119, 162, 204]),
        (10, [19, 40, 61, 82, 103, 125, 146, 167, 188, 209]),
        (53, list(range(3, 212, 4))),
        (212, list(range(212))),
    ],
)
def test_published_rows_are_picked(num_samples: int, rows: list[int]) -> None:
    assert front.sampled_rows(num_samples).tolist() == rows
    # row r of the crop is row r + 1 of the clip, which holds r + 2
    picked = front.condition_rows(counted(215), num_samples)
    assert picked[:, 0].tolist() == [row + 2 for row in rows]


def test_rows_are_picked_inside_the_clip_only() -> None:
    for num_samples in range(1, 213):
        rows = front.sampled_rows(num_samples)
        assert rows.min() >= 0
        assert rows.max() < 212
        assert rows.unique().numel() == num_samples
    with pytest.raises(InputError, match="choose 1 to 212"):
        front.sampled_rows(213)


def test_short_clips_end_in_zeros_or_start_again() -> None:
    zeros = front.condition_rows(counted(100), 212)
    assert zeros[98:100, 0].tolist() == [100, 0]
    tiled = front.condition_rows(counted(100), 212, short="tile")
    assert tiled[98:100, 0].tolist() == [100, 1]
    assert front.tile_rows(counted(215)).shape == (215, 3)
    with pytest.raises(InputError, match="0 feature rows"):
        front.tile_rows(counted(0))


def test_repeats_stay_together() -> None:
    picked = front.condition_rows(counted(216), 2, repeats=3)
    assert picked[:, 0].tolist() == [72, 72, 72, 178, 178, 178]


def test_streams_join_colour_first() -> None:
    joined = front.join_streams(torch.zeros(2, 3), torch.ones(2, 4))
    assert joined[0].tolist() == [0, 0, 0, 1, 1, 1, 1]
    with pytest.raises(InputError, match="2 frames of colour features and 3"):
        front.join_streams(torch.zeros(2, 3), torch.ones(3, 3))
    with pytest.raises(InputError, match="211 feature rows"):
        front.crop_rows(counted(211))


def test_no_feats_noise_comes_from_the_generator() -> None:
    first, second = (
        front.random_rows(2, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3)
    )
    assert first.shape == (2, 2048)
    assert torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() < 1
    assert first.mean() == pytest.approx(0.5, abs=0.03)
