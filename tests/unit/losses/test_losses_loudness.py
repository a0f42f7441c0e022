import pytest
import torch

from earsight.losses.loudness import group_levels, level_distance


def test_levels_add_power_not_decibels() -> None:
    mel = torch.zeros(1, 4, 1)
    mel[0, 0] = 0.6  # one band of four at 60 of 100 dB
    levels = group_levels(mel, bands_per_group=4)
    assert levels.item() == pytest.approx(0.6 - 0.0602, abs=1e-4)  # 10 * log10(4) = 6.02 dB
    assert group_levels(torch.ones(1, 4, 3), bands_per_group=2).tolist() == [[[1.0] * 3] * 2]


def test_a_median_is_punished_where_the_power_is_kept() -> None:
    mel = torch.tensor([0.2, 0.2, 0.8, 0.2])[None, :, None]
    median = torch.full((1, 4, 1), 0.2)
    kept = torch.full((1, 4, 1), 0.8 - 0.0602)
    assert level_distance(mel, median, bands_per_group=2) > 0.4
    assert level_distance(mel, kept, bands_per_group=4) == pytest.approx(0, abs=1e-4)
