"""The score of following motion, on generators that do and do not."""

import pytest
import torch
from einops import repeat

from earsight.data.collages import FULL_DB
from earsight.data.motion_pairs import strength
from earsight.data.sound_events import power_mel
from earsight.errors import InputError
from earsight.evaluate.motion_following import best_correlation, energy_of, motion_following


def tracks(count: int) -> torch.Tensor:
    return torch.rand(count, 6, 8, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


def obedient(features: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """One band whose strength is the energy itself."""
    levels_db = FULL_DB + 60 * (energy_of(features) * 0.97 + 0.03).log10()
    return power_mel(10 ** (repeat(levels_db, "b n -> b 1 (n s)", s=4) / 10))


def deaf(features: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The same random sound for everything."""
    rng = torch.Generator().manual_seed(5)
    return torch.rand(1, 1, 96, generator=rng).expand(features.shape[0], -1, -1)


def test_an_obedient_generator_scores_one_and_its_control_less() -> None:
    score = motion_following(tracks(24), torch.zeros(24, dtype=torch.long), obedient, batch=7)
    assert score.own.correlation == pytest.approx(1.0, abs=1e-3)
    assert score.own.num_windows == 24
    assert score.control.correlation < 0.5
    assert score.still_strength == pytest.approx(0.0, abs=1e-3)
    assert score.own_strength == pytest.approx(float(energy_of(tracks(24)).mean()), abs=1e-3)


def test_a_deaf_generator_scores_like_its_control() -> None:
    score = motion_following(tracks(24), torch.zeros(24, dtype=torch.long), deaf)
    assert score.own == score.control


def test_lags_within_the_tolerance_are_found() -> None:
    values = torch.rand(50, generator=torch.Generator().manual_seed(1))
    late = values.roll(2)
    assert best_correlation(values, late, max_lag_slots=2) == pytest.approx(1.0, abs=1e-5)
    assert best_correlation(late, values, max_lag_slots=2) == pytest.approx(1.0, abs=1e-5)
    found = best_correlation(values, late, max_lag_slots=1)
    assert found is not None
    assert found < 0.6
    assert best_correlation(values, torch.ones(50), max_lag_slots=2) is None


def test_tracks_without_change_are_left_out_and_counted() -> None:
    features = tracks(5)
    features[2] = 0.0
    score = motion_following(features, torch.zeros(5, dtype=torch.long), obedient)
    # its own window, and the one whose control it would be
    assert score.num_left_out == 2
    assert score.own.num_windows == 3


def test_one_window_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        motion_following(tracks(1), torch.zeros(1, dtype=torch.long), obedient)


def test_strength_and_energy_share_their_slots() -> None:
    mel = obedient(tracks(2), torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(strength(mel), energy_of(tracks(2)), atol=1e-3, rtol=0)
