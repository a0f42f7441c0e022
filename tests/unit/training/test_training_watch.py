"""Early stopping, finite losses, warm starts, accumulation, what TensorBoard is given."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from earsight.errors import ConfigError, TrainingError, WeightsError
from earsight.nn.code_usage import report_code_use
from earsight.training.board import coloured
from earsight.training.optim import accumulate, update
from earsight.training.warm_start import warm_start
from earsight.training.watch import EarlyStopping, check_finite


def test_stopping_waits_for_its_patience_and_says_why() -> None:
    watch = EarlyStopping(patience=2, smallest_change=0.1, name="held_out_l1")
    assert [watch.update(value, step) for step, value in enumerate([1.0, 0.95, 0.8])] == [
        True,
        False,
        True,
    ]
    assert not watch.update(math.nan, 3)
    assert watch.reason is None
    resumed = EarlyStopping(patience=2, smallest_change=0.1, name="held_out_l1")
    resumed.restore(watch.state())
    assert not resumed.update(0.75, 4)
    assert resumed.reason == (
        "held_out_l1 did not get better by more than 0.1 in 2 checks in a row; the best was 0.8 "
        "at step 2"
    )
    rising = EarlyStopping(patience=None, lower_is_better=False)
    assert rising.update(1.0, 0)
    assert rising.update(2.0, 1)
    assert rising.reason is None
    with pytest.raises(ConfigError, match=r"patience \(0\)"):
        EarlyStopping(patience=0)


def test_losses_that_are_not_finite_are_all_named() -> None:
    check_finite({"total": 1.0, "level": torch.tensor(2.0)}, 5)
    losses = {"total": torch.tensor(math.nan), "level": 2.0, "judge": torch.tensor(math.inf)}
    with pytest.raises(
        TrainingError, match=r"step 5: total is nan, judge is inf.*runs/a/step_3 is"
    ):
        check_finite(losses, 5, checkpoint=Path("runs/a/step_3"))


def test_parts_of_a_batch_step_as_the_whole_batch_does() -> None:
    batch = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    weights = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizers = [torch.optim.SGD([weight], lr=0.1) for weight in weights]
    norm = update(optimizers[0], (batch @ weights[0]).square().mean(), clip=0.5)
    parts = ((part @ weights[1]).square().mean() for part in batch.chunk(3))
    assert accumulate(optimizers[1], parts, num_parts=3, clip=0.5) == pytest.approx(norm, rel=1e-6)
    torch.testing.assert_close(weights[0], weights[1], atol=1e-7, rtol=0)
    with pytest.raises(ConfigError, match="of 3 parts of a batch, got 1"):
        accumulate(optimizers[1], [weights[1].sum()], num_parts=3)


def test_a_warm_start_names_every_entry() -> None:
    source = nn.ModuleDict({"body": nn.Linear(2, 2), "old_head": nn.Linear(2, 1)})
    target = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 3)})
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(WeightsError, match=r"head\.weight missing; head\.bias missing; old_head"):
        warm_start(target, source.state_dict())
    with pytest.raises(WeightsError, match="no entry of the model is under 'hea'"):
        warm_start(target, source.state_dict(), fresh=("head", "hea"), unused=("old_head",))
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())
    done = warm_start(target, source.state_dict(), fresh=("head",), unused=("old_head",))
    assert torch.equal(target["body"].weight, source["body"].weight)  # type: ignore[arg-type]
    assert torch.equal(target["head"].weight, before["head.weight"])  # type: ignore[arg-type]
    assert done.told() == ("2 entries taken (body); freshly initialised: head; left over: old_head")


def test_code_use_is_counted() -> None:
    report = report_code_use(torch.tensor([[0, 0], [3, 3]]), num_codes=4)
    assert report.dead == (1, 2)
    assert report.share_used == 0.5
    assert report.perplexity == pytest.approx(2.0)
    assert report.numbers()["dead_codes"] == 2


def test_pictures_have_low_bands_at_the_bottom() -> None:
    mel = torch.tensor([[1.0, 1.0], [0.0, 0.5]])
    picture = coloured(mel)
    assert picture.shape == (4, 2, 3)
    assert picture[3, 0].tolist() == [253, 231, 37]
    assert picture[0].tolist() == [[68, 1, 84], [33, 145, 140]]
