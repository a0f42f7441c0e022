"""AST's rate against a loop that sets it as published."""

import pytest
import torch
from torch.optim.lr_scheduler import MultiStepLR

from earsight.errors import ConfigError
from earsight.training.schedules import warmup_milestones


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("steps_per_epoch", [270, 700, 250, 1000])
def test_the_rate_is_that_of_the_published_loop(steps_per_epoch: int, warmup: bool) -> None:
    peak, milestones = 2e-4, [2, 3, 5]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    scheduler = MultiStepLR(optimizer, milestones, gamma=0.5)
    step = 0
    for _ in range(7):
        for _ in range(steps_per_epoch):
            if warmup and step <= 1000 and step % 50 == 0:
                optimizer.param_groups[0]["lr"] = step / 1000 * peak
            found = warmup_milestones(
                step,
                peak=peak,
                steps_per_epoch=steps_per_epoch,
                milestones=milestones,
                decay=0.5,
                warmup=warmup,
            )
            assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12, abs=1e-18)
            if step % 10 == 0:
                optimizer.step()
            step += 1
        scheduler.step()


def test_an_epoch_has_a_step() -> None:
    with pytest.raises(ConfigError, match="at least one step, got 0"):
        warmup_milestones(0, peak=1.0, steps_per_epoch=0, milestones=[2], decay=0.5)
