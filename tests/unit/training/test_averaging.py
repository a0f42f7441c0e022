"""Means of weights."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from earsight.errors import InputError
from earsight.training.averaging import BestMean, EpochMean
from earsight.training.rundir import RunDir


def test_the_mean_counts_every_epoch_alike_and_survives_saving() -> None:
    network = nn.BatchNorm1d(1)
    mean = EpochMean()
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            network.weight.fill_(value)
            network.num_batches_tracked.add_(1)
        mean.add(network)
    restored = EpochMean()
    restored.restore(mean.state())
    other = nn.BatchNorm1d(1)
    restored.load_into(other)
    assert other.weight.tolist() == [3.0]
    assert int(other.num_batches_tracked or 0) == 3


def test_a_mean_of_nothing_changes_nothing() -> None:
    network = nn.Linear(1, 1)
    before = network.weight.clone()
    EpochMean().load_into(network)
    assert torch.equal(network.weight, before)


def test_the_mean_of_the_best_follows_a_run_that_is_killed_and_resumed(tmp_path: Path) -> None:
    run, network = RunDir(tmp_path), nn.BatchNorm1d(1)
    best = BestMean(run, count=2)

    def offer(step: int, score: float) -> None:
        nn.init.constant_(network.weight, float(step))
        best.offer(network, score, step)

    for step, score in ((1, 0.5), (2, 0.3), (3, math.nan)):
        offer(step, score)
    saved = best.state()
    best.drop_others()
    offer(4, 0.4)
    assert run.load_weights(2)["weight"].tolist() == [2.0], "a resumed run may still want them"
    best.restore(saved)
    for step, score in ((4, 0.5), (5, 0.5)):
        offer(step, score)
    best.drop_others()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights_000001", "weights_000004"]
    best.load_into(network)
    assert network.weight.tolist() == [2.5]
    with pytest.raises(InputError, match="weights_000002 is missing: train again"):
        run.load_weights(2)
