"""Probes of frozen features on cases with known answers."""

import math

import pytest
import torch

from earsight.errors import InputError
from earsight.evaluate.probe import class_blocks, knn, linear_probe, standardised

TWO = torch.eye(2, dtype=torch.bool)


def test_the_linear_fit_is_the_minimum() -> None:
    # one standardised feature of -1 and 1, two classes: by symmetry weights are w and -w, no bias,
    # and the minimum is where the probability p of the other class equals decay * w
    x = torch.tensor([[3.0], [5.0], [3.0], [5.0]])
    y = TWO[[0, 1, 0, 1]]
    found = linear_probe(x, y, torch.tensor([[4.0], [5.0]]), decays=[0.1])
    assert found.gradient < 1e-8
    assert found.probabilities[0].tolist() == pytest.approx([0.5, 0.5], abs=1e-9)
    p = float(found.probabilities[1, 0])
    w = p / 0.1
    assert p == pytest.approx(1 / (1 + math.exp(2 * w)), abs=1e-9)


def test_decay_is_chosen_by_what_holds_for_other_groups() -> None:
    rng = torch.Generator().manual_seed(0)
    y = TWO[torch.arange(40) % 2]
    noise = torch.randn(40, 30, generator=rng)
    groups = torch.arange(40) // 10
    told = linear_probe(noise, y, noise, groups=groups)
    assert told.decay == max(told.inner_losses)  # nothing to learn: as little as possible
    signal = torch.cat([3 * y[:, :1].float(), 0.01 * noise], dim=1)
    learnt = linear_probe(signal, y, signal, groups=groups)
    assert learnt.decay < told.decay
    assert bool((learnt.probabilities.argmax(dim=1) == torch.arange(40) % 2).all())
    with pytest.raises(InputError, match="two groups"):
        linear_probe(noise, y, noise, groups=torch.zeros(40, dtype=torch.int64))


def test_clips_of_several_classes_are_told_class_by_class() -> None:
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).repeat(3, 1)
    y = torch.cat([x > 0, torch.ones(12, 1, dtype=torch.bool)], dim=1)
    found = linear_probe(x, y, x[:4], decays=[1e-3]).probabilities
    assert bool(((found[:, :2] > 0.5) == y[:4, :2]).all())
    assert bool((found[:, 2] > 0.99).all())


def test_neighbours_vote_by_likeness() -> None:
    # standardised, these are directions of 0, 90, 180 and 270 degrees
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    y = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0]], dtype=torch.bool)
    test = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    found = knn(x, y, test, num_neighbours=3, temperature=0.5)
    # the first test clip: likeness 1, then 0 twice (the earlier ones: 90 and 270 degrees)
    side = math.exp(-1 / 0.5)
    assert found[0].tolist() == pytest.approx([(1 + side) / (1 + 2 * side), side / (1 + 2 * side)])
    assert found.sum(dim=1).tolist() == pytest.approx([1.0, 1.0])
    nearest = knn(x, y, x, num_neighbours=1)
    assert bool((nearest == y.double()).all())


def test_blocks_and_constant_features() -> None:
    y = TWO[[0, 0, 1, 1, 1, 1, 0, 0]]
    assert class_blocks(y, 2).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    train, test = standardised(torch.tensor([[1.0, 7], [3.0, 7]]), torch.tensor([[2.0, 9]]))
    assert train.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert test.tolist() == [[0.0, 0.0]]
