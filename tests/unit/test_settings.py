"""Configs to plain values and back; overrides; every problem at once."""

from dataclasses import dataclass
from typing import Literal

import pytest

from earsight.errors import ConfigError, MissingExtraError
from earsight.extras import require
from earsight.settings import from_plain, override, to_plain


@dataclass(frozen=True, kw_only=True)
class Rate:
    start: float = 1e-3
    steps: int = 10


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    rate: Rate = Rate()
    sizes: tuple[int, ...] = (1, 2)
    norm: Literal["group", "layer", "none"] = "group"
    limit: int | None = None


def test_there_and_back() -> None:
    recipe = Recipe(name="a", rate=Rate(steps=3), sizes=(4,), norm="layer", limit=7)
    plain = to_plain(recipe)
    assert plain["sizes"] == [4]
    assert from_plain(Recipe, plain) == recipe


def test_all_problems_are_named_at_once() -> None:
    values = {"nam": "a", "rate": {"start": "x"}, "norm": "batch", "limit": True}
    with pytest.raises(ConfigError) as error:
        from_plain(Recipe, values)
    for part in (
        "nam: unknown field, did you mean name?",
        "name: missing",
        "rate.start: expected float, got 'x'",
        "norm: expected one of group, layer, none, got 'batch'",
        "limit: expected int, got True",
    ):
        assert part in str(error.value)


def test_overrides_are_parsed_by_type() -> None:
    recipe = override(
        Recipe(name="a"), ["rate.start=2", "sizes=[5, 6]", "norm=layer", "limit=3", "name=7x"]
    )
    assert recipe == Recipe(name="7x", rate=Rate(start=2.0), sizes=(5, 6), norm="layer", limit=3)
    assert override(recipe, ["limit=none"]).limit is None
    assert override(recipe, ["norm=none"]).norm == "none"
    with pytest.raises(ConfigError, match=r"no field 'rate.stepz'.*nearest: steps"):
        override(recipe, ["rate.stepz=1"])
    with pytest.raises(ConfigError, match="not FIELD=VALUE"):
        override(recipe, ["rate"])
    with pytest.raises(ConfigError, match=r"rate.steps: expected int, got 1.5"):
        override(recipe, ["rate.steps=1.5"])


def test_a_missing_part_says_how_to_get_it() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'earsight\[media\]'"):
        require("no_such_module_at_all", extra="media", purpose="reading video")
    assert require("json", extra="media", purpose="nothing").dumps(1) == "1"
