"""The loss of predicted codes."""

import math

import pytest
import torch

from earsight.losses.codes import code_loss


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 5, generator=rng), torch.randint(5, (2, 3), generator=rng)


def test_even_scores_cost_the_logarithm_of_the_vocabulary() -> None:
    _, codes = sample()
    assert float(code_loss(torch.zeros(2, 3, 5), codes)) == pytest.approx(math.log(5), abs=1e-6)


def test_codes_that_do_not_count_leave_no_trace() -> None:
    logits, codes = sample()
    counted = torch.tensor([[True, True, False], [True, False, False]])
    changed = torch.where(counted[..., None], logits, 7 * logits)
    loss = code_loss(logits, codes, counted=counted)
    assert float(code_loss(changed, codes, counted=counted)) == float(loss)
    chosen = -logits.log_softmax(-1)[counted][torch.arange(3), codes[counted]]
    assert float(loss) == pytest.approx(float(chosen.mean()), abs=1e-6)
    assert float(code_loss(logits, codes, counted=torch.zeros_like(counted))) == 0


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    logits, codes = sample()
    counted = torch.tensor([[True, True, True], [True, False, False]])
    parts = [
        code_loss(logits[i : i + 1], codes[i : i + 1], counted=counted[i : i + 1], num_counted=4.0)
        for i in range(2)
    ]
    whole = code_loss(logits, codes, counted=counted)
    assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-6)


def test_smoothing_moves_a_share_to_the_mean_over_all_codes() -> None:
    logits, codes = sample()
    plain, smooth = code_loss(logits, codes), code_loss(logits, codes, label_smoothing=0.2)
    even = -logits.log_softmax(-1).mean()
    assert float(smooth) == pytest.approx(0.8 * float(plain) + 0.2 * float(even), abs=1e-6)
