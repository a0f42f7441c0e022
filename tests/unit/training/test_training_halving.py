"""The rate that halves where checks no longer get better, as PyTorch's own schedule does."""

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from earsight.errors import ConfigError
from earsight.training.halving import RateHalving


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_it_halves_as_pytorch_does(higher_is_better: bool) -> None:
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 1.0)
    mode = "max" if higher_is_better else "min"
    wanted = ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=2)
    halving = RateHalving(patience=2, higher_is_better=higher_is_better)
    for _ in range(30):
        score = float(torch.rand((), generator=rng))
        wanted.step(score)
        halving.update(score)
        other = RateHalving(patience=2, higher_is_better=higher_is_better)
        other.restore(halving.state())
        halving = other
        assert halving.factor == optimizer.param_groups[0]["lr"]
    assert halving.factor < 0.1


def test_without_a_patience_the_rate_stays() -> None:
    halving = RateHalving(patience=None, higher_is_better=True)
    for _ in range(9):
        halving.update(0.0)
    assert halving.factor == 1.0
    with pytest.raises(ConfigError, match="patience of 0 or more checks, got -1"):
        RateHalving(patience=-1, higher_is_better=True)
