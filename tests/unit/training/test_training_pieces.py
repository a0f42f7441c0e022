"""Schedules, updates, averages and the run folder."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from earsight.errors import ConfigError, InputError
from earsight.training.ema import MovingAverage
from earsight.training.optim import decay_groups, set_rate, update
from earsight.training.rundir import RunDir
from earsight.training.schedules import warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Recipe:
    num_steps: int = 3
    rates: tuple[float, ...] = (0.1,)


def rate(step: int) -> float:
    return warmup_cosine(step, peak=2.0, final=0.1, warmup_steps=4, num_steps=12)


def test_rate_rises_falls_and_stays() -> None:
    assert [rate(step) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert rate(4) == 2.0
    assert rate(8) == pytest.approx(2 * (0.1 + 0.9 * 0.5))
    assert rate(12) == pytest.approx(0.2)
    assert rate(99) == pytest.approx(0.2)
    with pytest.raises(ConfigError, match=r"warmup_steps \(5\) must lie in 0..num_steps - 1 \(4\)"):
        warmup_cosine(0, peak=1.0, final=0.0, warmup_steps=5, num_steps=5)


def test_update_clips_the_norm_and_forgets_older_gradients() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    weight.grad = torch.full((2,), 100.0)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    norm = update(optimizer, weight.square().sum() / 2, clip=1.0)
    assert norm == pytest.approx(5.0)
    torch.testing.assert_close(weight.data, torch.tensor([2.4, 3.2]))


def test_a_step_without_a_finite_gradient_is_skipped_and_shows() -> None:
    weight = nn.Parameter(torch.tensor([3.0]))
    norm = update(torch.optim.SGD([weight], lr=1.0), (weight * math.nan).sum(), clip=1.0)
    assert math.isnan(norm)
    assert float(weight.detach()) == 3.0


def test_rates_reach_every_group() -> None:
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)], 1.0)
    set_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_only_linear_weights_decay() -> None:
    model = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 5), nn.LayerNorm(5))
    decayed, rest = decay_groups(model, weight_decay=0.1)
    assert [p.shape for p in decayed["params"]] == [(5, 4)]  # type: ignore[attr-defined]
    assert len(rest["params"]) == 4  # type: ignore[arg-type]
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)


def test_average_follows_by_its_decay_once_it_is_under_way() -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 0.0)
    average = MovingAverage(model, decay=0.5)
    average.num_updates = 1000
    nn.init.constant_(model.weight, 1.0)
    average.update(model)
    assert float(average.model.weight) == 0.5
    average.num_updates = 0
    average.update(model)
    assert float(average.model.weight) == pytest.approx(0.95)  # the decay starts at 1 / 10


def test_newest_states_are_kept_and_read(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    for step in (1, 2, 10):
        run.save_state({"step": step, "weights": torch.tensor([step])})
    assert [path.name for path in run.checkpoints()] == ["step_000002", "step_000010"]
    assert run.load_state()["weights"].tolist() == [10]
    assert json.loads((run.path / "step_000010" / "progress.json").read_text()) == {"step": 10}
    assert not list(run.path.glob(".saving*"))


def test_a_state_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with pytest.raises(Exception, match="pickle"):
        run.save_state({"step": 1, "bad": lambda: None})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="holds no saved state"):
        run.load_state()


def test_log_is_trimmed_and_a_torn_line_left_out(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for step in (1, 2, 3):
        run.log(step, {"loss": step / 3})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert [line["step"] for line in run.read_log()] == [1, 2, 3]
    run.trim_log(2)
    run.log(3, {"loss": 0.5})
    assert run.read_log() == [
        {"step": 1, "loss": 0.333333},
        {"step": 2, "loss": 0.666667},
        {"step": 3, "loss": 0.5},
    ]


def test_a_run_is_not_started_twice_nor_resumed_with_other_settings(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.note_recipe(Recipe(), resume=False)
    run.note_recipe(Recipe(), resume=True)
    with pytest.raises(InputError, match="holds a run already"):
        run.note_recipe(Recipe(), resume=False)
    with pytest.raises(InputError, match=r"other settings \(num_steps differ\)"):
        run.note_recipe(Recipe(num_steps=4), resume=True)
