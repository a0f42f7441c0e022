"""Which clips an epoch has where classes are uneven."""

import pytest
import torch

from earsight.data.weighted_draws import EpochDraws, clip_weights, repeated_places
from earsight.errors import ConfigError

UNEVEN = torch.tensor([[1.0, 0.0]] * 9 + [[0.0, 1.0]] + [[1.0, 1.0]])


def test_a_clip_weighs_what_its_classes_weigh() -> None:
    common, rare = 1000 / 10.01, 1000 / 2.01
    expected = torch.tensor([common] * 9 + [rare] + [common + rare])
    torch.testing.assert_close(clip_weights(UNEVEN), expected)


def test_an_epoch_draws_different_clips_and_rare_ones_more_often() -> None:
    draws = EpochDraws(11, batch=2, seed=0, weights=clip_weights(UNEVEN), num_draws=4)
    assert draws.steps_per_epoch == 2
    epochs = [draws.indices(2 * n) + draws.indices(2 * n + 1) for n in range(200)]
    assert all(len(set(epoch)) == 4 for epoch in epochs)
    counts = torch.bincount(torch.tensor(epochs).flatten(), minlength=11)
    assert counts[9] > 1.5 * counts[:9].max()
    fresh = EpochDraws(11, batch=2, seed=0, weights=clip_weights(UNEVEN), num_draws=4)
    assert fresh.indices(17) == epochs[8][2:], "known from seed and step alone"


def test_in_balanced_rounds_every_class_gives_a_clip() -> None:
    targets = torch.cat([UNEVEN, torch.zeros(11, 1)], dim=1)  # a class without clips is left out
    draws = EpochDraws(11, batch=2, seed=0, balanced=targets, num_draws=100)
    assert draws.steps_per_epoch == 50
    rounds = [draws.indices(step) for step in range(50)]
    for first, second in rounds:
        assert {first, second} & {9, 10}
        assert {first, second} & {*range(9), 10}
    drawn = torch.bincount(torch.tensor(rounds).flatten(), minlength=11)
    assert drawn[9] > 10 > int(drawn[:9].max())
    assert len({first in (9, 10) for first, _ in rounds}) == 2, "rounds have orders of their own"
    again = EpochDraws(11, batch=2, seed=0, balanced=targets, num_draws=100)
    assert again.indices(60) != rounds[10]
    assert again.indices(10) == rounds[10], "known from seed and step alone"


def test_without_weights_every_clip_comes_once() -> None:
    draws = EpochDraws(5, batch=2, seed=1)
    first = [place for step in range(3) for place in draws.indices(step)]
    assert sorted(first[:5]) == [0, 1, 2, 3, 4]
    assert draws.steps_per_epoch == 2
    with pytest.raises(ConfigError, match="there must be one of each"):
        EpochDraws(0, batch=2, seed=1)


def test_rare_classes_are_repeated_to_a_share_of_the_largest() -> None:
    places = repeated_places(UNEVEN, share=0.5)
    assert places == [*range(11), 9, 9, 9, 9]
    assert repeated_places(UNEVEN, share=0.0) == list(range(11))
