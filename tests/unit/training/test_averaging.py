"""Means of weights."""

import torch
from torch import nn

from earsight.training.averaging import EpochMean


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
