"""Draws: same alone, in a batch, with or without the cache; given codes stay; windows move."""

import pytest
import torch
from torch import Tensor

from earsight.errors import ConfigError, InputError
from earsight.generate.attention_maps import full_attention, step_attention
from earsight.generate.logits import SamplingConfig, code_probabilities, draw_codes
from earsight.generate.sampler import (
    FREE,
    Condition,
    UncachedEngine,
    item_uniforms,
    sample_codes,
)
from earsight.generate.windows import sample_moving, sample_sliding, window_starts
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.engine import TokenEngine
from earsight.models.token_gpt.model import TokenGPT
from earsight.nn.packed_linear import Precision

CONFIG = TokenGPTConfig(
    num_codes=48,
    num_positions=31,
    width=64,
    num_layers=2,
    num_heads=4,
    grid_rows=5,
    grid_columns=5,
    condition="features+class",
    feature_width=8,
    num_classes=4,
)
PLAIN = SamplingConfig()


def make_model(config: TokenGPTConfig = CONFIG) -> TokenGPT:
    model = TokenGPT(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
            parameter.mul_(0.3)
        model.code_embedding.weight.mul_(5)  # what was drawn must matter for what follows
    return model


@pytest.fixture(scope="module")
def model() -> TokenGPT:
    return make_model()


def make_condition(batch: int) -> Condition:
    generator = torch.Generator().manual_seed(2)
    features = torch.rand(batch, 5, 8, generator=generator)
    return Condition(features, torch.arange(batch) % 4)


def take(condition: Condition, item: int) -> Condition:
    assert condition.features is not None
    assert condition.classes is not None
    return Condition(condition.features[item : item + 1], condition.classes[item : item + 1])


def draws(items: list[int], num_codes: int = 25) -> Tensor:
    return item_uniforms([torch.Generator().manual_seed(i) for i in items], num_codes)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_clip_is_the_same_alone_and_in_a_batch_of_64(
    model: TokenGPT, precision: Precision
) -> None:
    engine = TokenEngine(model, precision=precision)
    condition = make_condition(64)
    batch = sample_codes(engine, condition, uniforms=draws(list(range(64))), sampling=PLAIN)
    for item in (0, 17, 63):
        alone = sample_codes(engine, take(condition, item), uniforms=draws([item]), sampling=PLAIN)
        assert torch.equal(alone[0], batch[item])


def test_scores_of_a_row_do_not_depend_on_the_batch_to_the_last_bit(model: TokenGPT) -> None:
    for precision in ("fp32", "bf16", "int8"):
        engine = TokenEngine(model, precision=precision)
        condition, codes = make_condition(33), torch.arange(33)[:, None] % 48
        _, cache = engine.prefill(condition.features, condition.classes, codes)
        together = engine.step(codes[:, 0], cache)
        one = take(condition, 32)
        _, cache = engine.prefill(one.features, one.classes, codes[32:])
        assert torch.equal(engine.step(codes[32:, 0], cache)[0], together[32])


@pytest.mark.parametrize("whole_window", [False, True])
def test_the_cache_changes_nothing(model: TokenGPT, whole_window: bool) -> None:
    condition = make_condition(4)
    arguments = {"uniforms": draws([3, 4, 5, 6]), "sampling": SamplingConfig(top_k=20, top_p=0.9)}
    cached = sample_codes(TokenEngine(model), condition, **arguments)
    plain = sample_codes(UncachedEngine(model, whole_window=whole_window), condition, **arguments)
    assert torch.equal(cached, plain)


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("bf16", 0.05), ("int8", 0.05)])
def test_cached_scores_stay_near_the_plain_ones(
    model: TokenGPT, precision: Precision, bound: float
) -> None:
    condition, codes = make_condition(2), torch.arange(20).reshape(2, 10) % 48
    plain = model(codes, condition.features, condition.classes).logits[:, -1].detach()
    engine = TokenEngine(model, precision=precision)
    _, cache = engine.prefill(condition.features, condition.classes, codes[:, :4])
    for position in range(4, 10):
        scores = engine.step(codes[:, position], cache)
    assert ((scores - plain).abs().max() / plain.std()).item() < bound


def test_given_codes_stay_and_the_rest_keeps_its_draws(model: TokenGPT) -> None:
    engine, condition = TokenEngine(model), make_condition(1)
    whole = sample_codes(engine, condition, uniforms=draws([9]), sampling=PLAIN)
    known = torch.full((1, 25), FREE)
    known[:, 8:13] = (whole[:, 8:13] + 1) % 48
    changed = sample_codes(engine, condition, uniforms=draws([9]), sampling=PLAIN, known=known)
    assert torch.equal(changed[:, :8], whole[:, :8])
    assert torch.equal(changed[:, 8:13], known[:, 8:13])
    assert not torch.equal(changed[:, 13:], whole[:, 13:])
    primed = torch.cat([whole[:, :12], torch.full((1, 13), FREE)], dim=1)
    again = sample_codes(engine, condition, uniforms=draws([9]), sampling=PLAIN, known=primed)
    assert torch.equal(again, whole)


def test_moving_windows_see_the_condition_of_their_own_time(model: TokenGPT) -> None:
    engine = TokenEngine(model)
    track = torch.rand(1, 40, 8, generator=torch.Generator().manual_seed(5))
    asked: list[int] = []

    def condition_at(column: int) -> Condition:
        asked.append(column)
        return Condition(track[:, column : column + 5], torch.tensor([1]))

    pieces = list(
        sample_moving(
            engine,
            condition_at,
            num_columns=13,
            overlap_columns=2,
            generators=[torch.Generator().manual_seed(1)],
            sampling=PLAIN,
        )
    )
    assert asked == [0, 3, 6, 8]
    assert [piece.shape[1] for piece in pieces] == [25, 15, 15, 10]
    # every window continues the one before: redo the last one by hand
    codes = torch.cat(pieces, dim=1)
    generator = torch.Generator().manual_seed(1)
    item_uniforms([generator], 55)
    uniforms = torch.cat(
        [torch.zeros(1, 15, dtype=torch.float64), item_uniforms([generator], 10)], 1
    )
    known = torch.cat([codes[:, 40:55], torch.full((1, 10), FREE)], dim=1)
    last = sample_codes(engine, condition_at(8), uniforms=uniforms, sampling=PLAIN, known=known)
    assert torch.equal(last[:, 15:], codes[:, 55:])


def test_one_window_slides_nowhere(model: TokenGPT) -> None:
    engine, condition, uniforms = TokenEngine(model), make_condition(2), draws([1, 2])
    sliding = sample_sliding(engine, condition, num_columns=5, uniforms=uniforms, sampling=PLAIN)
    assert torch.equal(sliding, sample_codes(engine, condition, uniforms=uniforms, sampling=PLAIN))


def test_window_starts_cover_everything_once() -> None:
    assert window_starts(53, window_columns=53, overlap_columns=13) == [0]
    assert window_starts(10, window_columns=53, overlap_columns=13) == [0]
    assert window_starts(106, window_columns=53, overlap_columns=13) == [0, 40, 53]
    with pytest.raises(ConfigError, match="0 to 52"):
        window_starts(106, window_columns=53, overlap_columns=53)


def test_top_k_keeps_ties_and_top_p_the_smallest_set() -> None:
    logits = torch.tensor([[3.0, 1.0, 1.0, 1.0, 0.0]])
    assert (code_probabilities(logits, SamplingConfig(top_k=2)) > 0).tolist() == [
        [True, True, True, True, False]
    ]
    even = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    kept = code_probabilities(even, SamplingConfig(top_p=0.8))
    torch.testing.assert_close(kept, torch.tensor([[0.625, 0.375, 0, 0]]), atol=1e-6, rtol=0)


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([[0.5, 0.0, 0.3, 0.2]]).log().expand(10_000, 4)
    uniforms = torch.rand(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = draw_codes(logits, uniforms, PLAIN).bincount(minlength=4) / 10_000
    torch.testing.assert_close(counts, torch.tensor([0.5, 0, 0.3, 0.2]), atol=0.02, rtol=0)
    edge = torch.tensor([0.0, 1 - 1e-16], dtype=torch.float64)
    assert draw_codes(logits[:2], edge, PLAIN).tolist() == [0, 3]


def test_attention_adds_up_and_is_causal(model: TokenGPT) -> None:
    condition = make_condition(1)
    codes = torch.arange(25)[None]
    attention = model(codes, condition.features, condition.classes, with_attention=True).attention
    assert attention is not None
    own = TokenEngine(model).attention(condition.features, condition.classes, codes)
    torch.testing.assert_close(own, attention, atol=1e-5, rtol=0)
    step = step_attention(attention, num_condition=6, position=7, rows=5, columns=5)
    torch.testing.assert_close(
        step.condition_share + step.codes_share, torch.ones(1), atol=1e-5, rtol=0
    )
    assert (step.codes[0, :, 2:] == 0).all()
    assert (step.codes[0, 2:, 1] == 0).all()
    # minus the prior every row sums to 0
    assert full_attention(attention).sum(dim=-1).abs().max().item() < 1e-4


def test_refusals_name_the_numbers(model: TokenGPT) -> None:
    engine, condition = TokenEngine(model), make_condition(1)
    with pytest.raises(InputError, match=r"0\.\.47.*got -1\.\.48"):
        sample_codes(
            engine,
            condition,
            uniforms=draws([1]),
            sampling=PLAIN,
            known=torch.tensor([[48] + [FREE] * 24]),
        )
    with pytest.raises(InputError, match="holds 25 codes, asked for 26"):
        sample_codes(engine, condition, uniforms=draws([1], 26), sampling=PLAIN)
    with pytest.raises(ConfigError, match="exceeds the model's 48 codes"):
        code_probabilities(torch.zeros(1, 48), SamplingConfig(top_k=49))
    with pytest.raises(ConfigError, match="positive number, got 0"):
        SamplingConfig(temperature=0.0)
    with pytest.raises(InputError, match="exceed the model's 31 positions"):
        model(torch.zeros(1, 26, dtype=torch.long), condition.features, condition.classes)
    with pytest.raises(ConfigError, match="must exceed the 5 x 5 = 25 codes"):
        TokenGPTConfig(num_positions=25, grid_columns=5)
