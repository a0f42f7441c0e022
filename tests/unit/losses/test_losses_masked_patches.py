"""Losses on masked patches against loops over clips and patches."""

import pytest
import torch

from earsight.losses.masked_patches import match_loss, pretext_losses, rebuild_loss


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_match_is_one_softmax_over_predictions_per_target() -> None:
    predicted, target = drawn(3, 5, 4), drawn(3, 5, 4, seed=5)
    costs, hits, otherwise = [], [], []
    for clip in range(3):
        shares = torch.stack([(target[clip, a] @ predicted[clip].T).softmax(0) for a in range(5)])
        costs += [-shares[a, a].log() for a in range(5)]
        hits += [int(shares[:, b].argmax()) == b for b in range(5)]
        otherwise += [int(shares[a].argmax()) == a for a in range(5)]
    found = match_loss(predicted, target)
    torch.testing.assert_close(found.loss, torch.stack(costs).mean(), atol=1e-6, rtol=0)
    assert float(found.accuracy) == pytest.approx(sum(hits) / 15)
    assert sum(hits) != sum(otherwise)


def test_a_perfect_prediction_finds_and_rebuilds_everything() -> None:
    patches = 20 * torch.eye(6)[None]
    assert float(match_loss(patches, patches).loss) == pytest.approx(0, abs=1e-6)
    assert float(match_loss(patches, patches).accuracy) == 1
    assert float(rebuild_loss(patches, patches)) == 0


def test_the_sum_is_weighted_and_targets_carry_no_gradient() -> None:
    tensors = [drawn(2, 3, 4, seed=seed).requires_grad_() for seed in range(4)]
    matched, match_target, rebuilt, rebuild_target = tensors
    losses = pretext_losses(
        matched=matched, match_target=match_target, rebuilt=rebuilt, rebuild_target=rebuild_target
    )
    torch.testing.assert_close(losses.total, losses.match + 10 * losses.rebuild, atol=0, rtol=0)
    mean = ((rebuilt - rebuild_target) ** 2).mean()
    torch.testing.assert_close(losses.rebuild, mean, atol=1e-6, rtol=0)
    losses.total.backward()
    assert [tensor.grad is None for tensor in tensors] == [False, True, False, True]
