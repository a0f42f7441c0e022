import pytest
import torch

from earsight.nn.code_usage import CodeUsage
from earsight.nn.quantize import Codebook, perplexity


def book(rows: list[list[float]]) -> Codebook:
    codebook = Codebook(num_codes=len(rows), dim=len(rows[0]))
    codebook.embedding.weight.data = torch.tensor(rows)
    return codebook


def test_the_first_of_equally_near_codes_wins() -> None:
    codebook = book([[5.0, 5.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    latent = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).T[None, :, None, :]  # (1, 2, 1, 2)
    assert codebook.nearest(latent).tolist() == [[[1, 1]]]


def test_the_gradient_passes_straight_through_and_the_codebook_term_is_the_light_one() -> None:
    codebook = book([[0.0], [10.0]])
    latent = torch.full((1, 1, 1, 1), 2.0, requires_grad=True)
    out = codebook(latent)
    assert out.quantized.item() == 0.0
    assert out.loss.item() == pytest.approx(4 + 0.25 * 4)
    (3 * out.quantized.sum()).backward(retain_graph=True)
    assert latent.grad is not None
    assert latent.grad.item() == 3.0
    assert codebook.embedding.weight.grad is None
    out.loss.backward()
    assert latent.grad.item() == pytest.approx(3 + 4)  # commitment: 2 * (2 - 0)
    assert codebook.embedding.weight.grad is not None
    assert codebook.embedding.weight.grad[0].item() == pytest.approx(0.25 * -4)


def test_perplexity_counts_codes_in_equal_use() -> None:
    assert perplexity(torch.arange(8), num_codes=16).item() == pytest.approx(8, abs=1e-4)
    assert perplexity(torch.zeros(8, dtype=torch.long), num_codes=16).item() == pytest.approx(1)


def test_unused_codes_move_onto_latents_and_used_ones_stay() -> None:
    codebook, usage = book([[0.0], [100.0], [200.0]]), CodeUsage(num_codes=3, decay=0.5)
    for _ in range(10):
        usage.count(torch.zeros(4, dtype=torch.long))
    moved = usage.revive(
        codebook, torch.tensor([[7.0], [8.0], [9.0]]), generator=torch.Generator().manual_seed(0)
    )
    rows = codebook.embedding.weight[:, 0].tolist()
    assert moved == 2
    assert rows[0] == 0.0
    assert set(rows[1:]) < {7.0, 8.0, 9.0}
    assert usage.revive(codebook, torch.zeros(3, 1), generator=torch.Generator()) == 0
