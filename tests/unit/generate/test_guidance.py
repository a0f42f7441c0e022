"""Guidance: nothing at 1, no condition at 0, and what it leans towards in between and beyond."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from earsight.errors import ConfigError
from earsight.generate.guidance import GuidedEngine, guided
from earsight.generate.logits import SamplingConfig
from earsight.generate.sampler import Condition, UncachedEngine, item_uniforms, sample_codes
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.engine import TokenEngine
from earsight.models.token_gpt.model import TokenGPT

CONFIG = TokenGPTConfig(
    num_codes=32,
    num_positions=31,
    width=32,
    num_layers=2,
    num_heads=2,
    grid_rows=5,
    grid_columns=5,
    condition="features+class",
    feature_width=8,
    num_classes=4,
    class_dropout_index=3,
)
PLAIN = SamplingConfig()


@pytest.fixture(scope="module")
def model() -> TokenGPT:
    torch.manual_seed(0)
    model = TokenGPT(CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


@pytest.fixture(scope="module")
def condition() -> Condition:
    features = torch.rand(2, 5, 8, generator=torch.Generator().manual_seed(1))
    return Condition(features, torch.tensor([0, 2]))


def draw(engine: TokenEngine | GuidedEngine, condition: Condition) -> Tensor:
    uniforms = item_uniforms([torch.Generator().manual_seed(i) for i in range(2)], 25)
    return sample_codes(engine, condition, uniforms=uniforms, sampling=PLAIN)


def test_scores_move_away_from_those_without_a_condition(
    model: TokenGPT, condition: Condition
) -> None:
    assert condition.features is not None
    assert condition.classes is not None
    engine = GuidedEngine(TokenEngine(model), 2.5)
    given = torch.tensor([[3, 4], [5, 6]])
    after = torch.tensor([7, 8])
    first, cache = engine.prefill(condition.features, condition.classes, given)
    second = engine.step(after, cache)
    nothing = torch.zeros_like(condition.features), torch.tensor([3, 3])
    plain = UncachedEngine(model)
    for scores, codes in ((first, given), (second, torch.cat([given, after[:, None]], 1))):
        told, _ = plain.prefill(condition.features, condition.classes, codes)
        untold, _ = plain.prefill(*nothing, codes)
        torch.testing.assert_close(scores, untold + 2.5 * (told - untold), atol=1e-3, rtol=1e-4)


def test_one_is_the_model_and_zero_is_the_model_without_a_condition(
    model: TokenGPT, condition: Condition
) -> None:
    assert condition.features is not None
    engine = TokenEngine(model)
    assert guided(engine, 1.0) is engine
    withheld = Condition(torch.zeros_like(condition.features), torch.tensor([3, 3]))
    plain = draw(engine, withheld)
    assert torch.equal(draw(GuidedEngine(engine, 0.0), condition), plain)
    assert not torch.equal(draw(engine, condition), plain)


def test_a_model_that_always_knew_its_class_cannot_be_guided(model: TokenGPT) -> None:
    told = replace(CONFIG, class_dropout_index=None)
    with pytest.raises(ConfigError, match="--guidance at 1"):
        GuidedEngine(UncachedEngine(TokenGPT(told)), 2.0)
    with pytest.raises(ConfigError, match="guidance must be 0"):
        SamplingConfig(guidance=-1.0)
