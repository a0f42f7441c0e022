"""Cards come back as written; unlike ones are refused with every reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from earsight.errors import InputError
from earsight.evaluate.card import (
    Card,
    Counts,
    JudgeName,
    LeftOut,
    Score,
    differences,
    read_card,
    rows,
    write_card,
)
from earsight.evaluate.report_page import write_page

CARD = Card(
    table="specvqgan",
    scores={
        "FID": Score(value=12.0, what="distance", better="less", num_items=4),
        "ISC": Score(value=None, what="not defined", better="more"),
    },
    counts=Counts(expected=5, found=4, skipped=(LeftOut(name="a<b", reason="broken"),)),
    protocol={"corpus": "foley", "samples_per_clip": 1},
    settings={"model": "bundled", "seed": 0},
    judge=JudgeName(name="bundled", sha256="ab" * 32),
    seeds=(0,),
    versions={"earsight": "1"},
    date="2026-01-01T00:00:00+00:00",
)


def test_a_card_comes_back_as_it_was(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    assert read_card(tmp_path) == CARD
    assert rows(CARD)[0] == ("FID", "12", "4", "distance (less is better)")
    assert rows(CARD)[1][1] == "-"


def test_like_cards_are_compared_number_by_number() -> None:
    worse = replace(
        CARD,
        scores={"FID": Score(value=15.5, what="distance", better="less")},
        settings={"model": "other"},
    )
    changes = {change.name: change for change in differences(CARD, worse)}
    assert changes["FID"].change == pytest.approx(-3.5)
    assert changes["ISC"].change is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(CARD, judge=JudgeName(name="bundled", sha256="cd" * 32)), "other feature network"),
        (replace(CARD, judge=None), "other feature network"),
        (replace(CARD, protocol={"corpus": "vas", "samples_per_clip": 1}), 'corpus is "foley"'),
        (replace(CARD, protocol={"corpus": "foley"}), "samples_per_clip is 1 here, null there"),
        (replace(CARD, counts=Counts(expected=5, found=5)), "found 4 here, 5 there"),
        (replace(CARD, table="codebook"), "other table"),
    ],
)
def test_unlike_cards_are_refused_with_the_reason(other: Card, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        differences(CARD, other)


def test_the_card_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    write_card(tmp_path, replace(CARD, date="later"))
    with pytest.raises(InputError, match='model "bundled" there, "mine" now'):
        write_card(tmp_path, replace(CARD, settings={"model": "mine"}))
    assert read_card(tmp_path).date == "later"
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(InputError, match="is not a card"):
        read_card(tmp_path)


def test_the_page_names_everything_and_escapes_it(tmp_path: Path) -> None:
    text = write_page(tmp_path, CARD, title="A & B").read_text()
    for wanted in ("A &amp; B", "a&lt;b", "broken", "4 of 5 samples", "ab" * 32, "12"):
        assert wanted in text
